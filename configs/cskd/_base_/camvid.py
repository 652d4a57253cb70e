"""CamVid, crops of 360 x 360, 16 images per step on 4 GPUs; teacher DeepLabV3-R101."""
_base_ = [
    '../../_base_/distillers/cskd.py', '../../_base_/datasets/camvid.py',
    '../../_base_/schedules/cskd_40k.py'
]
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=(360, 360)),
        decode_head=dict(num_classes=11),
        auxiliary_head=dict(num_classes=11)),
    teacher=dict(cfg_path='configs/cskd/deeplabv3_r101_camvid.py'),
    teacher_ckpt='work_dirs/deeplabv3_r101_camvid/iter_40000.pth')
