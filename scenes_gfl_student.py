auto_scale_lr = dict(base_batch_size=8, enable=False)
backend_args = None
batch_size = 8
custom_imports = dict(allow_failed_imports=False, imports=['mmkd_sod'])
data_root = 'data/coco/'
dataset_type = 'CocoDataset'
default_hooks = dict(
    checkpoint=dict(_scope_='mmdet', interval=1, max_keep_ckpts=2, type='CheckpointHook'),
    logger=dict(_scope_='mmdet', interval=1, type='LoggerHook'),
    param_scheduler=dict(_scope_='mmdet', type='ParamSchedulerHook'),
    sampler_seed=dict(_scope_='mmdet', type='DistSamplerSeedHook'),
    timer=dict(_scope_='mmdet', type='IterTimerHook'),
    visualization=dict(_scope_='mmdet', type='DetVisualizationHook'),
)
default_scope = 'mmdet'
env_cfg = dict(
    cudnn_benchmark=False,
    dist_cfg=dict(backend='nccl'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
)
launcher = 'none'
load_from = None
loader = dict(batch_size=8, num_workers=0, persistent_workers=False)
log_level = 'WARNING'
log_processor = dict(_scope_='mmdet', by_epoch=True, type='LogProcessor', window_size=50)
max_epochs = 18
model = dict(
    backbone=dict(
        base_channels=4,
        depth=18,
        frozen_stages=-1,
        norm_cfg=dict(requires_grad=True, type='BN'),
        norm_eval=False,
        type='ResNet',
    ),
    bbox_head=dict(
        anchor_generator=dict(
            octave_base_scale=8,
            ratios=[1.0],
            scales_per_octave=1,
            strides=[8, 16, 32, 64, 128],
            type='AnchorGenerator',
        ),
        feat_channels=64,
        in_channels=64,
        loss_bbox=dict(loss_weight=2.0, type='GIoULoss'),
        loss_cls=dict(beta=2.0, loss_weight=1.0, type='QualityFocalLoss', use_sigmoid=True),
        loss_dfl=dict(loss_weight=0.25, type='DistributionFocalLoss'),
        norm_cfg=dict(num_groups=16, requires_grad=True, type='GN'),
        num_classes=6,
        reg_max=16,
        stacked_convs=3,
        type='GFLHead',
    ),
    data_preprocessor=dict(
        bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53],
        pad_size_divisor=32,
        std=[58.395, 57.12, 57.375],
        type='DetDataPreprocessor',
    ),
    neck=dict(
        add_extra_convs='on_output',
        in_channels=[4, 8, 16, 32],
        num_outs=5,
        out_channels=64,
        start_level=1,
        type='FPN',
    ),
    test_cfg=dict(
        max_per_img=100,
        min_bbox_size=0,
        nms=dict(iou_threshold=0.6, type='nms'),
        nms_pre=1000,
        score_thr=0.0,
    ),
    train_cfg=dict(allowed_border=-1, assigner=dict(topk=9, type='ATSSAssigner'), pos_weight=-1),
    type='GFL',
)
norm = dict(num_groups=16, requires_grad=True, type='GN')
num_workers = 0
optim_wrapper = dict(
    clip_grad=dict(max_norm=35, norm_type=2),
    optimizer=dict(lr=0.001, type='AdamW', weight_decay=0.01),
    type='OptimWrapper',
)
param_scheduler = [
    dict(begin=0, by_epoch=False, end=50, start_factor=0.1, type='LinearLR'),
    dict(T_max=10, convert_to_iter_based=True, type='CosineAnnealingLR'),
]
randomness = dict(seed=0)
resume = False
scale = (160, 160)
scenes = dict(
    data_root='data/scenes/',
    metainfo=dict(
        classes=('disk', 'square', 'triangle', 'star', 'ring', 'cross'),
        palette=[
            (0, 114, 178),
            (213, 94, 0),
            (0, 158, 115),
            (204, 121, 167),
            (86, 180, 233),
            (230, 159, 0),
        ],
    ),
)
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _scope_='mmdet',
        ann_file='annotations/val.json',
        backend_args=None,
        data_prefix=dict(img='val/images/'),
        data_root='/tmp/pytest-of-root/pytest-280/popen-gw0/data0/scenes/',
        metainfo=dict(
            classes=('disk', 'square', 'triangle', 'star', 'ring', 'cross'),
            palette=[
                (0, 114, 178),
                (213, 94, 0),
                (0, 158, 115),
                (204, 121, 167),
                (86, 180, 233),
                (230, 159, 0),
            ],
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(keep_ratio=False, scale=(160, 160), type='Resize'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
                type='PackDetInputs',
            ),
        ],
        test_mode=True,
        type='CocoDataset',
    ),
    drop_last=False,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_scope_='mmdet', shuffle=False, type='DefaultSampler'),
)
test_evaluator = dict(
    _scope_='mmdet',
    ann_file='/tmp/pytest-of-root/pytest-280/popen-gw0/data0/scenes/annotations/val.json',
    backend_args=None,
    format_only=False,
    metric='bbox',
    type='CocoMetric',
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(keep_ratio=False, scale=(160, 160), type='Resize'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
        type='PackDetInputs',
    ),
]
train_cfg = dict(max_epochs=1, type='EpochBasedTrainLoop', val_interval=1)
train_dataloader = dict(
    batch_sampler=dict(_scope_='mmdet', type='AspectRatioBatchSampler'),
    batch_size=8,
    dataset=dict(
        _scope_='mmdet',
        ann_file='annotations/train.json',
        backend_args=None,
        data_prefix=dict(img='train/images/'),
        data_root='/tmp/pytest-of-root/pytest-280/popen-gw0/data0/scenes/',
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        metainfo=dict(
            classes=('disk', 'square', 'triangle', 'star', 'ring', 'cross'),
            palette=[
                (0, 114, 178),
                (213, 94, 0),
                (0, 158, 115),
                (204, 121, 167),
                (86, 180, 233),
                (230, 159, 0),
            ],
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(keep_ratio=False, scale=(160, 160), type='Resize'),
            dict(prob=0.5, type='RandomFlip'),
            dict(type='PackDetInputs'),
        ],
        type='CocoDataset',
    ),
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_scope_='mmdet', shuffle=True, type='DefaultSampler'),
)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(keep_ratio=False, scale=(160, 160), type='Resize'),
    dict(prob=0.5, type='RandomFlip'),
    dict(type='PackDetInputs'),
]
val_cfg = dict(type='ValLoop')
val_dataloader = dict(
    batch_size=8,
    dataset=dict(
        _scope_='mmdet',
        ann_file='annotations/val.json',
        backend_args=None,
        data_prefix=dict(img='val/images/'),
        data_root='/tmp/pytest-of-root/pytest-280/popen-gw0/data0/scenes/',
        metainfo=dict(
            classes=('disk', 'square', 'triangle', 'star', 'ring', 'cross'),
            palette=[
                (0, 114, 178),
                (213, 94, 0),
                (0, 158, 115),
                (204, 121, 167),
                (86, 180, 233),
                (230, 159, 0),
            ],
        ),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(keep_ratio=False, scale=(160, 160), type='Resize'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
                type='PackDetInputs',
            ),
        ],
        test_mode=True,
        type='CocoDataset',
    ),
    drop_last=False,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_scope_='mmdet', shuffle=False, type='DefaultSampler'),
)
val_dataset = dict(
    ann_file='annotations/val.json',
    data_prefix=dict(img='val/images/'),
    data_root='data/scenes/',
    metainfo=dict(
        classes=('disk', 'square', 'triangle', 'star', 'ring', 'cross'),
        palette=[
            (0, 114, 178),
            (213, 94, 0),
            (0, 158, 115),
            (204, 121, 167),
            (86, 180, 233),
            (230, 159, 0),
        ],
    ),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(keep_ratio=False, scale=(160, 160), type='Resize'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(
            meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            type='PackDetInputs',
        ),
    ],
)
val_evaluator = dict(
    _scope_='mmdet',
    ann_file='/tmp/pytest-of-root/pytest-280/popen-gw0/data0/scenes/annotations/val.json',
    backend_args=None,
    format_only=False,
    metric='bbox',
    type='CocoMetric',
)
vis_backends = [dict(_scope_='mmdet', type='LocalVisBackend')]
visualizer = dict(
    _scope_='mmdet',
    name='visualizer',
    type='DetLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')],
)
work_dir = ''
