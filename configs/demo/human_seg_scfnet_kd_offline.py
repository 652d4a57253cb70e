"""human_seg: like human_seg_scfnet_kd.py, with the teacher's maps written beforehand:

python tools/generate_weak_labels.py configs/demo/human_seg_scfnet_teacher.py
    work_dirs/human_seg_scfnet_teacher/epoch_60.pth --side 224
    --data configs/demo/human_seg_scfnet_kd.py --out data/weak_labels/human_seg
"""
_base_ = ['./human_seg_scfnet_kd.py']
model = dict(teacher=None, teacher_ckpt=None, distiller=dict(source='offline'))
label = dict(
    type='mmkd_sod.LoadWeakLabel',
    label_root='data/weak_labels/human_seg',
    teacher='configs/demo/human_seg_scfnet_teacher.py',
    teacher_ckpt='work_dirs/human_seg_scfnet_teacher/epoch_60.pth',
    side=224)
unlabelled_pipeline = _base_.unlabelled_pipeline
train_dataloader = dict(
    dataset=dict(pipeline=[unlabelled_pipeline[0], label, *unlabelled_pipeline[1:]]))
