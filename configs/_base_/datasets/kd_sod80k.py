"""Train on images without masks in data/KD-SOD80K; validate and test like sod_benchmarks.py."""
_base_ = ['./sod_benchmarks.py']
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmkd_sod.UnlabelledImageDataset',
        name='KD-SOD80K',
        data_root='data/KD-SOD80K',
        pipeline=_base_.unlabelled_pipeline))
