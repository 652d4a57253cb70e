"""FS-SCFNet: 0.80 M parameters. Published MAE: DUTS-TE .041, ECSSD .039.

The backbone starts from PaddleClas's MobileNetV3_large_x0_5, converted by
tools/model_converters/paddle_scfnet.py.
"""
_base_ = [
    '../_base_/models/scfnet_mobilenetv3.py', '../_base_/datasets/sod_benchmarks.py',
    '../_base_/schedules/scfnet_69e.py'
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/mobilenetv3_large_x0_5_paddle.pth')))
