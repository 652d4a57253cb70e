"""CamVid: the student distilled by CSKD; otherwise equal to camvid_pspnet_student.py."""
_base_ = [
    '../_base_/distillers/cskd.py', './_base_/camvid_small.py', './_base_/schedule_camvid.py'
]
model = dict(
    architecture=dict(cfg_path='configs/demo/camvid_pspnet_student.py'),
    teacher=dict(cfg_path='configs/demo/camvid_pspnet_teacher.py'),
    teacher_ckpt='work_dirs/camvid_pspnet_teacher/epoch_40.pth')
