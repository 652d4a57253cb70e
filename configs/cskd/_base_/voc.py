"""VOC2012-aug, crops of 512 x 512, 16 images per step on 4 GPUs; teacher DeepLabV3-R101."""
_base_ = [
    '../../_base_/distillers/cskd.py', 'mmseg::_base_/datasets/pascal_voc12_aug.py',
    '../../_base_/schedules/cskd_40k.py'
]
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=(512, 512)),
        decode_head=dict(num_classes=21),
        auxiliary_head=dict(num_classes=21)),
    teacher=dict(cfg_path='mmseg::deeplabv3/deeplabv3_r101-d8_4xb4-40k_voc12aug-512x512.py'),
    teacher_ckpt='https://download.openmmlab.com/mmsegmentation/v0.5/deeplabv3/'
    'deeplabv3_r101-d8_512x512_40k_voc12aug/'
    'deeplabv3_r101-d8_512x512_40k_voc12aug_20200613_161432-0017d784.pth')
