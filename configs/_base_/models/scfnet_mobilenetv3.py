# SCFNet on MobileNetV3-Large of half width: 0.80 M parameters.
model = dict(
    type='mmseg.EncoderDecoder',
    data_preprocessor=dict(type='mmkd_sod.SODDataPreprocessor'),
    backbone=dict(type='mmkd_sod.PaddleMobileNetV3'),
    decode_head=dict(type='mmkd_sod.SCFHead', in_channels=[16, 24, 56, 80], channels=16),
    test_cfg=dict(mode='whole'))
