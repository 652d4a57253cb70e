"""SCFNet on ResNet-50: 26.15 M parameters. Published MAE: DUTS-TE .031, ECSSD .031."""
_base_ = [
    '../_base_/models/scfnet_r50.py', '../_base_/datasets/sod_benchmarks.py',
    '../_base_/schedules/scfnet_69e.py'
]
model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')))
