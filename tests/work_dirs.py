"""Work folders as mmengine writes them, without a training."""

import json

from mmengine.config import Config

STUDENT = dict(type='Net', backbone=dict(depth=18, width=8), head=dict(classes=3))
TEACHER = dict(type='Net', backbone=dict(depth=50, width=64), head=dict(classes=3))
TRAIN = [
    dict(
        lr=0.1,
        loss=3 / step,
        loss_cls=1 / step,
        loss_bbox=2 / step,
        time=0.5,
        epoch=step,
        iter=step * 10,
        step=step * 10,
    )
    for step in range(1, 13)
]


def distilled_records(records):
    """Return training records as DenseDistill logs them."""
    renamed = {'loss_cls': 'student.loss_cls', 'loss_bbox': 'student.loss_bbox'}
    return [
        {**{renamed.get(key, key): value for key, value in record.items()}, 'distill.loss_kd': 0.5}
        for record in records
    ]


def work_dir(
    folder,
    model,
    seed=0,
    train=TRAIN,
    val=(),
    test=None,
    log='',
    load_from=None,
    stamp='20260101_000000',
    **cfg,
):
    """Write one run; return its folder."""
    place = folder / stamp / 'vis_data'
    place.mkdir(parents=True)
    cfg = Config(
        dict(
            model=model,
            randomness=dict(seed=seed),
            load_from=load_from,
            work_dir=str(folder),
            **cfg,
        )
    )
    cfg.dump(place / 'config.py')
    cfg.dump(folder / 'net.py')
    records = [*train, *val]
    if records:
        (place / 'scalars.json').write_text(
            ''.join(json.dumps(record) + '\n' for record in records)
        )
    if test is not None:
        (folder / stamp / f'{stamp}.json').write_text(json.dumps(test))
    if log:
        (folder / stamp / f'{stamp}.log').write_text(log)
    return folder


def seeds(root, scores, key='coco/bbox_mAP'):
    """Write teacher, plain and distilled runs of several seeds, and tests in separate folders.

    ``scores`` is ``{seed: (teacher, plain, distilled)}``.
    """
    for seed, values in scores.items():
        for role, value in zip(('teacher', 'plain', 'kd'), values, strict=True):
            model = dict(
                teacher=TEACHER,
                plain=STUDENT,
                kd=dict(
                    type='mmkd_sod.DenseDistill',
                    architecture=STUDENT,
                    teacher=TEACHER,
                    teacher_ckpt=f'{root}/{seed}/teacher/epoch_12.pth',
                    distiller=dict(type='mmkd_sod.CrossKDDistiller'),
                ),
            )[role]
            train = distilled_records(TRAIN) if role == 'kd' else TRAIN
            val = [{key: value - 0.1, 'step': 6}, {key: value - 0.02, 'step': 12}]
            folder = work_dir(root / str(seed) / role, model, seed, train, val)
            plain = STUDENT if role == 'kd' else model
            work_dir(
                root / str(seed) / f'test_{role}',
                plain,
                train=(),
                test={key: value},
                load_from=f'{folder}/epoch_12.pth',
            )
    return root
