"""KD-SCFNet <- SCFNet R50, without masks. Published MAE: DUTS-TE .035, ECSSD .035."""
_base_ = [
    '../_base_/distillers/weak_label.py', '../_base_/datasets/kd_sod80k.py',
    '../_base_/schedules/scfnet_69e.py'
]
model = dict(
    architecture=dict(cfg_path='configs/scfnet/scfnet_mobilenetv3.py'),
    teacher=dict(cfg_path='configs/scfnet/scfnet_r50.py'),
    teacher_ckpt='work_dirs/scfnet_r50/epoch_69.pth')
