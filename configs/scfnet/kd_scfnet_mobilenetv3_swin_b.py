"""KD-SCFNet <- SCFNet Swin-B, without masks. Published MAE: DUTS-TE .035, ECSSD .030."""
_base_ = ['./kd_scfnet_mobilenetv3.py']
model = dict(
    teacher=dict(cfg_path='configs/scfnet/scfnet_swin_b.py'),
    teacher_ckpt='work_dirs/scfnet_swin_b/epoch_69.pth')
