"""SCFNet on VGG-16: 15.90 M parameters."""
_base_ = [
    '../_base_/models/scfnet_vgg16.py', '../_base_/datasets/sod_benchmarks.py',
    '../_base_/schedules/scfnet_69e.py'
]
model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://vgg16')))
