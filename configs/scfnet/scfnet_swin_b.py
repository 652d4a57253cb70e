"""SCFNet on Swin-B: 88.23 M parameters."""
_base_ = [
    '../_base_/models/scfnet_swin_b.py', '../_base_/datasets/sod_benchmarks.py',
    '../_base_/schedules/scfnet_69e.py'
]
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/'
            'swin_base_patch4_window7_224_20220317-e9b98025.pth')))
