"""Like coco_2x.py, with mmdet's changes for FCOS: two sizes, warm-up, biases, clipping."""
_base_ = ['./coco_2x.py']

train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(
    type='RandomChoiceResize', scales=[(1333, 640), (1333, 800)], keep_ratio=True)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

param_scheduler = _base_.param_scheduler
param_scheduler[0] = dict(type='ConstantLR', factor=1.0 / 3, by_epoch=False, begin=0, end=500)
optim_wrapper = dict(
    paramwise_cfg=dict(bias_lr_mult=2., bias_decay_mult=0.),
    clip_grad=dict(max_norm=35, norm_type=2))
