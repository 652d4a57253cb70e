"""Cityscapes, crops of 512 x 1024, 16 images per step on 4 GPUs; teacher DeepLabV3-R101."""
_base_ = [
    '../../_base_/distillers/cskd.py', 'mmseg::_base_/datasets/cityscapes.py',
    '../../_base_/schedules/cskd_40k.py'
]
train_dataloader = dict(batch_size=4)
zoo = 'https://download.openmmlab.com/mmsegmentation/v0.5/'
model = dict(
    teacher=dict(cfg_path='mmseg::deeplabv3/deeplabv3_r101-d8_4xb2-80k_cityscapes-512x1024.py'),
    teacher_ckpt=zoo + 'deeplabv3/deeplabv3_r101-d8_512x1024_80k_cityscapes/'
    'deeplabv3_r101-d8_512x1024_80k_cityscapes_20200606_113503-9e428899.pth')
