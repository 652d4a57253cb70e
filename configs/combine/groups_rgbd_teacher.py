"""An RGB-D teacher, HKDNet, for a student that sees only the image, SCFNet."""
_base_ = ['../demo/groups_hkdnet_student.py']
model = dict(
    _delete_=True,
    type='mmkd_sod.DenseDistill',
    architecture=dict(
        cfg_path='configs/demo/human_seg_scfnet_student.py',
        data_preprocessor=dict(sides=(128, ))),
    teacher=dict(cfg_path='configs/demo/groups_hkdnet_teacher.py'),
    teacher_ckpt='work_dirs/groups_hkdnet_teacher/epoch_80.pth',
    teacher_input=dict(view='teacher_view'),
    distiller=dict(type='mmkd_sod.WeakLabelDistiller'))
pack = dict(type='mmkd_sod.PackSODInputs')
view = dict(type='mmkd_sod.TeacherView', keys=('img', 'depth_map'), transforms=[pack])
train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline[:-1], view]))
test_pipeline = [step for step in _base_.test_pipeline[:-1] if 'Depth' not in step.type]
val_dataloader = dict(dataset=dict(pipeline=[*test_pipeline, pack]))
test_dataloader = dict(dataset=dict(pipeline=[*test_pipeline, pack]))
