"""The data sets, models and training lengths with which gains are measured."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.config import Config

_AROUND = 0.3  # minutes: start of two processes and a test


@dataclass(frozen=True)
class GainSet:
    """A teacher, a plain student and distilled students, which differ only in the distiller.

    Attributes:
        teacher (str): The teacher's config; one teacher is trained per seed.
        student (str): The plain student's config.
        distilled (dict): Configs of the distilled students by the name of the method.
        teacher_epochs (int): Length of the teacher's training.
        epochs (tuple[int, ...]): Lengths at which the students are compared, in epochs.
        metrics (tuple[str, ...]): Scores that are recorded, the main one first.
        data (str): Folder that must exist, or that ``prepare`` creates.
        prepare (tuple[str, ...]): Command that creates missing data; quick if none is missing.
        pace (dict): Minutes per epoch on one core next to another training, by role; used to
            estimate the time left.
        made (bool): Whether ``prepare`` creates all of the data.
    """

    teacher: str
    student: str
    distilled: dict
    teacher_epochs: int
    epochs: tuple
    metrics: tuple
    data: str
    pace: dict
    prepare: tuple = ()
    made: bool = False

    def students(self) -> dict[str, str]:
        """Return the configs of the plain and distilled students by role."""
        return dict(student=self.student, **self.distilled)

    def minutes(self, role: str, epochs: int) -> float:
        """Return the minutes of so many epochs of a role, including start-up and test."""
        return self.pace[role] * epochs + _AROUND

    def settings(self) -> dict:
        """Return what the scores depend on, as read from json."""
        return json.loads(
            json.dumps(
                dict(
                    teacher=self.teacher,
                    student=self.student,
                    distilled=self.distilled,
                    teacher_epochs=self.teacher_epochs,
                    epochs=self.epochs,
                    metrics=self.metrics,
                )
            )
        )


_COCO = ('coco/bbox_mAP', 'coco/bbox_mAP_50')
_SOD = ('sod/MAE', 'sod/Smeasure', 'sod/maxFm', 'sod/maxEm')
_BCCD = dict(
    metrics=_COCO,
    data='data/bccd',
    prepare=('tools/dataset_converters/voc_to_coco.py', 'data/bccd'),
)

SETS = dict(
    bccd_gfl=GainSet(
        'configs/demo/bccd_gfl_teacher.py',
        'configs/demo/bccd_gfl_student.py',
        dict(crosskd='configs/demo/bccd_gfl_crosskd.py'),
        45,
        (18, 36),
        pace=dict(teacher=0.525, student=0.185, crosskd=0.365),
        **_BCCD,
    ),
    bccd_atss=GainSet(
        'configs/demo/bccd_atss_teacher.py',
        'configs/demo/bccd_atss_student.py',
        dict(crosskd='configs/demo/bccd_atss_crosskd.py'),
        20,
        (6, 12),
        pace=dict(teacher=0.52, student=0.18, crosskd=0.345),
        **_BCCD,
    ),
    camvid=GainSet(
        'configs/demo/camvid_pspnet_teacher.py',
        'configs/demo/camvid_pspnet_student.py',
        dict(cskd='configs/demo/camvid_pspnet_cskd.py'),
        40,
        (10, 40),
        ('mIoU', 'mAcc'),
        data='data/camvid',
        pace=dict(teacher=0.7, student=0.28, cskd=0.47),
    ),
    human_seg=GainSet(
        'configs/demo/human_seg_scfnet_teacher.py',
        'configs/demo/human_seg_scfnet_student.py',
        dict(
            masks_kd='configs/demo/human_seg_scfnet_masks_kd.py',
            pnlad_weak_label='configs/combine/human_seg_pnlad_weak_label.py',
        ),
        60,
        (20, 60),
        _SOD,
        data='data/human_seg',
        pace=dict(teacher=0.28, student=0.115, masks_kd=0.17, pnlad_weak_label=0.175),
    ),
    groups_few=GainSet(
        'configs/demo/groups_hkdnet_teacher.py',
        'configs/demo/groups_hkdnet_few_student.py',
        dict(hkd='configs/demo/groups_hkdnet_few_hkd.py'),
        40,
        (30, 60),
        _SOD,
        data='data/rgbd_groups',
        prepare=('tools/make_rgbd_groups.py',),
        made=True,
        pace=dict(teacher=0.23, student=0.032, hkd=0.052),
    ),
)


def expected_hours(seeds: int, jobs: int) -> float:
    """Return the approximate hours of all trainings and tests."""
    minutes = sum(
        one.minutes('teacher', one.teacher_epochs)
        + sum(one.minutes(role, epochs) for role in one.students() for epochs in one.epochs)
        for one in SETS.values()
    )
    return minutes * seeds / jobs / 60


def _stages(cfg, path: str, ratio: float) -> Iterator[tuple[str, list | float]]:
    """Yield the epoch-based settings of a distiller, for a training ``ratio`` times as long.

    The ends of its stages are scaled, and so is the decrease of the temperature per epoch.
    """
    items = cfg.items() if isinstance(cfg, dict) else enumerate(cfg)
    for key, value in items:
        if key == 'stage_ends':
            yield f'{path}.{key}', [round(end * ratio) for end in value]
        elif key == 'tau_step':
            yield f'{path}.{key}', value / ratio
        elif isinstance(value, (dict, list, tuple)):
            yield from _stages(value, f'{path}.{key}', ratio)


def length_options(cfg: Config, epochs: int, pace: float) -> dict:
    """Return overrides that change the length of a training and everything that counts epochs.

    Args:
        cfg (Config): A config that trains by epochs.
        epochs (int): The length wanted.
        pace (float): Minutes per epoch.

    Returns:
        dict: Values by dotted key. A checkpoint is written about every minute, so that little is
        lost if a training is interrupted; there is no validation, since every training is tested.
    """
    own = cfg.train_cfg.max_epochs
    options = {
        'train_cfg.max_epochs': epochs,
        'train_cfg.val_begin': epochs + 1,
        'default_hooks.checkpoint.interval': max(1, round(1 / pace)),
        'default_hooks.checkpoint.max_keep_ckpts': 1,
    }
    for index, scheduler in enumerate(cfg.param_scheduler):
        if scheduler.get('by_epoch', True):
            for key in ('T_max', 'end'):
                if scheduler.get(key) is not None:
                    options[f'param_scheduler.{index}.{key}'] = round(scheduler[key] * epochs / own)
    options.update(_stages(cfg.model.get('distiller', {}), 'model.distiller', epochs / own))
    return options
