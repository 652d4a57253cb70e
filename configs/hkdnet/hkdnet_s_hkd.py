"""HKDNet-S <- HKDNet-T, the full recipe."""
_base_ = [
    '../_base_/datasets/rgbd_cosod.py', '../_base_/schedules/hkdnet.py',
    '../_base_/distillers/hkd.py'
]
model = dict(
    architecture=dict(cfg_path='configs/hkdnet/hkdnet_s.py'),
    teacher=dict(cfg_path='configs/hkdnet/hkdnet_t.py'),
    teacher_ckpt='work_dirs/hkdnet_t/epoch_100.pth')
