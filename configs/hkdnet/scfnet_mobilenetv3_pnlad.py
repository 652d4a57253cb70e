"""SCFNet <- SCFNet R50 by positive and negative logits, with masks, on DUTS."""
_base_ = [
    '../_base_/distillers/pnlad.py', '../_base_/datasets/sod_benchmarks.py',
    '../_base_/schedules/scfnet_69e.py'
]
model = dict(
    architecture=dict(cfg_path='configs/scfnet/scfnet_mobilenetv3.py'),
    teacher=dict(cfg_path='configs/scfnet/scfnet_r50.py'),
    teacher_ckpt='work_dirs/scfnet_r50/epoch_69.pth',
    distiller=dict(
        loss_pnlad=dict(level_weights=(1, 1 / 2, 1 / 4, 1 / 8)), schedule=dict(gt_weights=None)))
