"""CamVid: positive and negative logits over the classes; otherwise equal to the plain student."""
_base_ = [
    '../_base_/distillers/pnlad.py', './_base_/camvid_small.py', './_base_/schedule_camvid.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/camvid_pspnet_student.py'),
    teacher=dict(cfg_path='configs/demo/camvid_pspnet_teacher.py'),
    teacher_ckpt='work_dirs/camvid_pspnet_teacher/epoch_40.pth',
    distiller=dict(
        # 16 is tau squared, for gradients as large as at temperature 1. One temperature, no stages.
        loss_pnlad=dict(mode='pixel', level_weights=None, pos_weight=16.),
        schedule=None))
