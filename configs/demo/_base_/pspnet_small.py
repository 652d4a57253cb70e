"""A small PSPNet: ResNet-18 of base width 12 at stride 8, a head of 48 channels, no pretraining."""
norm = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(180, 240)),
    backbone=dict(
        type='ResNetV1c', depth=18, stem_channels=12, base_channels=12, strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4), out_indices=(0, 1, 2, 3), contract_dilation=True, norm_cfg=norm),
    decode_head=dict(
        type='PSPHead', in_channels=96, in_index=3, channels=48, pool_scales=(1, 2, 3, 6),
        dropout_ratio=0.1, num_classes=11, norm_cfg=norm, align_corners=False),
    auxiliary_head=dict(
        type='FCNHead', in_channels=48, in_index=2, channels=24, num_convs=1, concat_input=False,
        dropout_ratio=0.1, num_classes=11, norm_cfg=norm, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
