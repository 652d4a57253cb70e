"""Two teachers, one distiller each: SCFNet trained on human_seg, and SCFNet-R50 trained on DUTS."""
_base_ = ['../demo/human_seg_scfnet_kd.py']
model = dict(
    teacher=dict(
        _delete_=True,
        human=dict(cfg_path='configs/demo/human_seg_scfnet_teacher.py'),
        duts=dict(cfg_path='configs/scfnet/scfnet_r50.py')),
    teacher_ckpt=dict(
        _delete_=True,
        human='work_dirs/human_seg_scfnet_teacher/epoch_60.pth',
        duts='work_dirs/scfnet_r50/epoch_69.pth'),
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[
            dict(distiller=_base_.model.distiller, name='human', teacher='human'),
            # After epoch 20 it is inactive, and its teacher does not run.
            dict(distiller=_base_.model.distiller, name='duts', teacher='duts', weight=0.3,
                 end=20, decay=10)
        ]))
