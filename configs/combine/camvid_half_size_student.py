"""The student sees 120 x 90 pixels, the teacher the same crops at 240 x 180, its training size."""
_base_ = ['../demo/camvid_pspnet_cskd.py']
model = dict(
    architecture=dict(data_preprocessor=dict(size=(90, 120))),
    teacher_input=dict(view='teacher_view'),
    # The teacher's feature maps and logits are resized to the student's size.
    distiller=dict(resize='teacher'))
pipeline = _base_.train_pipeline
view = dict(
    type='mmkd_sod.TeacherView',
    transforms=[dict(type='Resize', scale_factor=0.5), pipeline[-1]])
train_dataloader = dict(dataset=dict(pipeline=[*pipeline[:-1], view]))
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (120, 90)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
