"""Run the architectures of mmdet and mmseg on compiled and on plain operators; print a table.

Each folder of the two zoos gives its config of the shortest name, in full size with random weights:
one training step and one prediction on each set of operators, from the same weights and random
numbers. Where they differ, the model runs again in float64, which tells rounding from a fault; NMS,
which mmcv compiles for float32 only, still gets float32. Needs a compiled mmcv. Exit code 1: a
model runs on the compiled operators alone, or they differ.
"""

import argparse
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import mmcv.ops  # noqa: F401
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.hub import get_config
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from mmengine.utils import get_installed_path

from mmkd_sod.cli.common import run_tool
from mmkd_sod.compat.mmcv_ops.extension import operators_in_use
from mmkd_sod.errors import InstallationError
from mmkd_sod.testing import small_segmentors
from mmkd_sod.testing.operators import plain_extension, run_step

# Folders that hold no architecture of their own, or one for videos.
_ASIDE = {
    '_base_',
    'albu_example',
    'bytetrack',
    'cityscapes',
    'common',
    'deepfashion',
    'deepsort',
    'dsdl',
    'legacy_1.x',
    'lvis',
    'mask2former_vis',
    'masktrack_rcnn',
    'misc',
    'objects365',
    'ocsort',
    'openimages',
    'pascal_voc',
    'qdtrack',
    'reid',
    'sort',
    'strongsort',
    'v3det',
    'wider_face',
}
# Deformable convolutions; the shortest names of these folders are of deformable RoI pooling.
_MORE = (
    'mmdet::dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py',
    'mmdet::dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py',
)
# Of images, where a convolution needs more than 128 pixels.
_SIDES = dict(ddod=384)
# Above these the two sets of operators are said to differ: losses, gradients, outputs.
LIMITS = (1e-5, 1e-3, 1e-4)


@dataclass
class Row:
    """One architecture.

    Attributes:
        name (str): Of its config, as ``'package::folder/name.py'``.
        operators (set[str]): Operators that it calls.
        differences (tuple[float, ...]): In losses, gradients and outputs; empty where it did not
            run.
        compiled (str): Why it did not run on compiled operators; empty where it did.
        plain (str): The same for the plain ones.
        precision (str): In which the differences were measured.
    """

    name: str
    operators: set
    differences: tuple = ()
    compiled: str = ''
    plain: str = ''
    precision: str = 'float32'

    @property
    def same(self) -> bool:
        """Whether both ran and agree within ``LIMITS``, or the compiled ones did not run."""
        if not self.differences:
            return bool(self.compiled)
        return all(found <= limit for found, limit in zip(self.differences, LIMITS, strict=True))

    def __str__(self) -> str:
        if self.compiled or self.plain:
            told = [self.compiled or 'runs', self.plain or 'runs', '', '', '']
        else:
            told = [
                ', '.join(sorted(self.operators)) or 'none',
                self.precision,
                *(f'{value:.1g}' for value in self.differences),
            ]
        return f'| {self.name} | {" | ".join(told)} | {"yes" if self.same else "**no**"} |'


def configs(package: str) -> list[str]:
    """One config of each architecture of ``mmdet`` or ``mmseg``."""
    root = Path(get_installed_path(package)) / '.mim' / 'configs'
    found = []
    for folder in sorted(root.iterdir()):
        files = [
            path.name
            for path in folder.glob('*.py')
            if folder.name not in _ASIDE and not path.stem.endswith('_tta')
        ]
        if files:
            name = min(files, key=lambda name: (len(name), name))
            found.append(f'{package}::{folder.name}/{name}')
    return found


def _without_files(cfg) -> None:
    """Drop weights that would be read from the network."""
    if isinstance(cfg, dict):
        for key in ('init_cfg', 'pretrained', 'teacher_ckpt'):
            if key != 'init_cfg' or (isinstance(cfg.get(key), dict) and 'checkpoint' in cfg[key]):
                cfg.pop(key, None)
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, (dict, list, tuple)):
            _without_files(value)


def _keep_every_box(cfg) -> None:
    """Set score thresholds to 0: random weights give no high scores."""
    if isinstance(cfg, dict) and 'score_thr' in cfg:
        cfg['score_thr'] = 0.0
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, (dict, list, tuple)):
            _keep_every_box(value)


def build(name: str):
    """A model of a config with random weights, and a batch for it."""
    package = name.partition('::')[0]
    cfg = get_config(name)
    DefaultScope._instance_dict.clear()
    init_default_scope(package)
    MessageHub.get_current_instance().update_info('epoch', 0)
    model_cfg = cfg.model
    if 'data_preprocessor' in cfg:
        model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor)
    _without_files(model_cfg)
    if package == 'mmseg':
        vit = model_cfg.backbone.type in ('VisionTransformer', 'BEiT', 'MAE')
        side = cfg.crop_size[0] if vit else 64
        model_cfg.data_preprocessor.size = (side, side)
        batch = small_segmentors.random_batch(2, side, side)
    else:
        _keep_every_box(model_cfg)
        model_cfg.data_preprocessor.pop('batch_augments', None)
        side = _SIDES.get(name.split('/')[0].partition('::')[2], 128)
        batch = demo_mm_inputs(
            2, [(3, side, side)] * 2, num_items=[3, 3], with_mask=True, with_semantic=True
        )
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(model_cfg))
    model.init_weights()
    return model, batch


def _sentence(error: Exception) -> str:
    text = ' '.join(str(error).split()).replace('|', '/')
    return f'{type(error).__name__}: {text[:100]}'


class _SinglePrecisionNMS:
    """Operators whose NMS gets float32, as mmcv compiles it."""

    def __init__(self, extension) -> None:
        self._extension = extension

    def __getattr__(self, name: str):
        return getattr(self._extension, name)

    def nms(self, boxes, scores, **kwargs):
        return self._extension.nms(boxes.float(), scores.float(), **kwargs)


def _in_double(model, batch: dict) -> None:
    """Turn a model and the boxes of its batch to float64."""
    model.double()
    for sample in batch['data_samples']:
        if 'gt_instances' in sample:
            sample.gt_instances.bboxes = sample.gt_instances.bboxes.double()


def compare(name: str, precision: torch.dtype = torch.float32, predict: bool = True) -> Row:
    """Run one architecture on both sets of operators, again in float64 where they differ."""
    try:
        model, batch = build(name)
    except Exception as error:
        return Row(name, set(), (), _sentence(error), _sentence(error))
    extensions = dict(compiled=sys.modules['mmcv._ext'], plain=plain_extension())
    before = torch.get_default_dtype()
    if precision == torch.float64:
        _in_double(model, batch)
        extensions = {kind: _SinglePrecisionNMS(one) for kind, one in extensions.items()}
    steps, failed = {}, {}
    try:
        torch.set_default_dtype(precision)
        for kind, extension in extensions.items():
            try:
                steps[kind] = run_step(model, batch, extension, predict=predict)
            except Exception as error:
                failed[kind] = _sentence(error)
    finally:
        torch.set_default_dtype(before)
    if failed:
        return Row(name, set(), (), failed.get('compiled', ''), failed.get('plain', ''))
    compiled, plain = steps['compiled'], steps['plain']
    row = Row(name, plain.operators, compiled.differences(plain), precision=str(precision)[6:])
    if row.same or precision == torch.float64:
        return row
    again = compare(name, torch.float64)
    if not again.differences and row.differences[2] <= LIMITS[2]:
        # mmdet pastes masks in float32 only, and the predictions agree already.
        again = compare(name, torch.float64, predict=False)
        if again.differences:
            again.differences = (*again.differences[:2], row.differences[2])
    return again if again.differences else row  # some models have float32 constants


def main(argv=None) -> int:
    """Compare the architectures one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'configs',
        nargs='*',
        help="as 'mmdet::gfl/gfl_r50_fpn_1x_coco.py'; default: the zoos of both",
    )
    args = parser.parse_args(argv)
    if operators_in_use() != 'compiled':
        raise InstallationError(
            'mmcv has no compiled operators here; they are what the plain ones '
            'are compared with; install mmcv in place of mmcv-lite'
        )
    logging.disable(logging.WARNING)  # mmengine prints the initialisation of every weight
    rows = []
    print(
        '| config | operators called | precision | losses | gradients | outputs | same |\n'
        '| --- | --- | --- | --- | --- | --- | --- |',
        flush=True,
    )
    for name in args.configs or [*configs('mmdet'), *_MORE, *configs('mmseg')]:
        rows.append(compare(name))
        print(rows[-1], flush=True)
    ran = [row for row in rows if row.differences]
    compiled = sum(bool(row.plain) and not row.compiled for row in rows)
    plain = sum(bool(row.compiled) and not row.plain for row in rows)
    print(
        f'\n{len(rows)} architectures: {len(ran)} run on both, {sum(row.same for row in ran)} of '
        f'them alike; {compiled} on compiled operators alone, {plain} on plain ones alone, '
        f'{len(rows) - len(ran) - compiled - plain} on neither'
    )
    return int(not all(row.same for row in rows))


if __name__ == '__main__':
    run_tool(main)
