"""Like kd_scfnet_mobilenetv3.py, with the teacher's maps written beforehand:

python tools/generate_weak_labels.py configs/scfnet/scfnet_r50.py work_dirs/scfnet_r50/epoch_69.pth
    --data configs/scfnet/kd_scfnet_mobilenetv3.py --out data/weak_labels/r50
"""
_base_ = ['./kd_scfnet_mobilenetv3.py']
model = dict(
    teacher=None, teacher_ckpt=None, distiller=dict(source='offline'))
_pipeline = _base_.train_dataloader.dataset.pipeline
train_dataloader = dict(dataset=dict(pipeline=[
    _pipeline[0],
    dict(
        type='mmkd_sod.LoadWeakLabel',
        label_root='data/weak_labels/r50',
        teacher='configs/scfnet/scfnet_r50.py',
        teacher_ckpt='work_dirs/scfnet_r50/epoch_69.pth'), *_pipeline[1:]]))
