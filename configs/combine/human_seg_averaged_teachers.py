"""Two teachers of different seeds; the student mimics the average of their logits."""
_base_ = ['../demo/human_seg_scfnet_kd.py']
teacher = dict(cfg_path='configs/demo/human_seg_scfnet_teacher.py')
ckpt = 'work_dirs/human_seg_scfnet_teacher_seed{}/epoch_60.pth'
model = dict(
    teacher=dict(_delete_=True, first=teacher, second=teacher),
    teacher_ckpt=dict(_delete_=True, first=ckpt.format(0), second=ckpt.format(1)),
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[dict(distiller=_base_.model.distiller, teacher=['first', 'second'])]))
