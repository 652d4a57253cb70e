"""What is trained to measure gains: sets of data, models and lengths."""
import json
from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.config import Config


@dataclass(frozen=True)
class GainSet:
    """A teacher, a plain student and the distilled ones, which differ in the distiller alone.

    Attributes:
        teacher (str): The teacher's config; every seed trains its own.
        student (str): The plain student's config.
        distilled (dict): Configs of the distilled students by the name of the method.
        teacher_epochs (int): Length of the teacher's training.
        epochs (tuple[int, ...]): Lengths at which the students are compared, in epochs.
        metrics (tuple[str, ...]): Scores that are kept, the one that counts first.
        data (str): Folder that has to be there, or that ``prepare`` makes.
        prepare (tuple[str, ...]): Command that makes what is missing of the data, quick where
            nothing is.
        pace (dict): Minutes an epoch takes on one core, roughly, by role; for the time left.
        made (bool): Whether ``prepare`` makes all of the data.
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
        """Configs of the plain and the distilled students by role."""
        return dict(student=self.student, **self.distilled)

    def settings(self) -> dict:
        """What the scores depend on, as json gives it back."""
        return json.loads(json.dumps(dict(
            teacher=self.teacher, student=self.student, distilled=self.distilled,
            teacher_epochs=self.teacher_epochs, epochs=self.epochs, metrics=self.metrics)))


_COCO = ('coco/bbox_mAP', 'coco/bbox_mAP_50')
_SOD = ('sod/MAE', 'sod/Smeasure', 'sod/maxFm', 'sod/maxEm')
_BCCD = dict(metrics=_COCO, data='data/bccd',
             prepare=('tools/dataset_converters/voc_to_coco.py', 'data/bccd'))

SETS = dict(
    bccd_gfl=GainSet(
        'configs/demo/bccd_gfl_teacher.py', 'configs/demo/bccd_gfl_student.py',
        dict(crosskd='configs/demo/bccd_gfl_crosskd.py'), 45, (18, 36),
        pace=dict(teacher=.52, student=.18, crosskd=.36), **_BCCD),
    bccd_atss=GainSet(
        'configs/demo/bccd_atss_teacher.py', 'configs/demo/bccd_atss_student.py',
        dict(crosskd='configs/demo/bccd_atss_crosskd.py'), 20, (6, 12),
        pace=dict(teacher=.52, student=.17, crosskd=.34), **_BCCD),
    camvid=GainSet(
        'configs/demo/camvid_pspnet_teacher.py', 'configs/demo/camvid_pspnet_student.py',
        dict(cskd='configs/demo/camvid_pspnet_cskd.py'), 40, (10, 40), ('mIoU', 'mAcc'),
        data='data/camvid', pace=dict(teacher=.72, student=.3, cskd=.51)),
    human_seg=GainSet(
        'configs/demo/human_seg_scfnet_teacher.py', 'configs/demo/human_seg_scfnet_student.py',
        dict(masks_kd='configs/demo/human_seg_scfnet_masks_kd.py',
             pnlad_weak_label='configs/combine/human_seg_pnlad_weak_label.py'), 60, (20, 60),
        _SOD, data='data/human_seg',
        pace=dict(teacher=.3, student=.17, masks_kd=.19, pnlad_weak_label=.2)),
    groups_few=GainSet(
        'configs/demo/groups_hkdnet_teacher.py', 'configs/demo/groups_hkdnet_few_student.py',
        dict(hkd='configs/demo/groups_hkdnet_few_hkd.py'), 40, (30, 60), _SOD,
        data='data/rgbd_groups', prepare=('tools/make_rgbd_groups.py', ), made=True,
        pace=dict(teacher=.24, student=.045, hkd=.055)))


def expected_hours(seeds: int, jobs: int) -> float:
    """What all trainings take, roughly."""
    minutes = sum(
        one.pace['teacher'] * one.teacher_epochs
        + sum(one.pace[role] for role in one.students()) * sum(one.epochs)
        for one in SETS.values())
    return minutes * seeds / jobs / 60


def _stages(cfg, path: str, ratio: float) -> Iterator[tuple[str, list | float]]:
    """What a distiller's config counts by epochs, for a training ``ratio`` as long.

    The ends of its stages come later, and what the temperature loses an epoch gets less.
    """
    items = cfg.items() if isinstance(cfg, dict) else enumerate(cfg)
    for key, value in items:
        if key == 'stage_ends':
            yield f'{path}.{key}', [round(end * ratio) for end in value]
        elif key == 'tau_step':
            yield f'{path}.{key}', value / ratio
        elif isinstance(value, (dict, list, tuple)):
            yield from _stages(value, f'{path}.{key}', ratio)


def length_options(cfg: Config, epochs: int) -> dict:
    """Overrides that give a config another length, all that counts epochs with it.

    Args:
        cfg (Config): A config that trains by epochs.
        epochs (int): The length wanted.

    Returns:
        dict: Dotted key to value. Checkpoints come every epoch, so that little is lost when a
        training is stopped.
    """
    own = cfg.train_cfg.max_epochs
    options = {'train_cfg.max_epochs': epochs,
               'train_cfg.val_interval': max(1, round(cfg.train_cfg.val_interval * epochs / own)),
               'default_hooks.checkpoint.interval': 1,
               'default_hooks.checkpoint.max_keep_ckpts': 1}
    for index, scheduler in enumerate(cfg.param_scheduler):
        if scheduler.get('by_epoch', True):
            for key in ('T_max', 'end'):
                if scheduler.get(key) is not None:
                    options[f'param_scheduler.{index}.{key}'] = round(
                        scheduler[key] * epochs / own)
    options.update(_stages(cfg.model.get('distiller', {}), 'model.distiller', epochs / own))
    return options
