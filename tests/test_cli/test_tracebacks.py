"""Faults of hardware, libraries and our own code keep type, message and traceback."""

import os

import pytest

from tests.runs import DEMO, RANDOM_TEACHER, ROOT, TINY_DISTILL, command, on

MODULE = """
import torch
from torch import nn
from mmkd_sod.registry import MODELS


def fail(kind):
    if kind == 'memory':
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
    if kind == 'network':
        raise RuntimeError('NCCL error in: ProcessGroupNCCL.cpp:2251, unhandled system error')
    return dict(x=None)['y'] if kind == 'key' else None.shape


@MODELS.register_module()
class FailingLoss(nn.Module):

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, *args, **kwargs):
        return fail(self.kind)
"""
CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports=['mmkd_sod', 'failing_for_tests'])
model = dict(distiller=dict(loss_cls_kd=dict(_delete_=True, type='mmkd_sod.FailingLoss')))
"""
# What is raised in the first training step, and the line that shows it.
FAULTS = dict(
    memory='torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.',
    network='RuntimeError: NCCL error in: ProcessGroupNCCL.cpp:2251, unhandled system error',
    key="KeyError: 'y'",
    attribute="AttributeError: 'NoneType' object has no attribute 'shape'",
)


@pytest.fixture(scope='module')
def outputs(scenes, tmp_path_factory):
    """Exit code and output of a training for each fault; all run at once."""
    folder = tmp_path_factory.mktemp('faults')
    (folder / 'failing_for_tests.py').write_text(MODULE)
    (folder / 'config.py').write_text(CONFIG.format(base=str(ROOT / DEMO.format('crosskd'))))
    path = os.pathsep.join([str(folder), str(ROOT)])
    started = {
        kind: command(
            'tools/train.py',
            folder / 'config.py',
            '--work-dir',
            folder / kind,
            cfg_options=(
                *on(scenes),
                *TINY_DISTILL,
                *RANDOM_TEACHER,
                f'model.distiller.loss_cls_kd.kind={kind}',
            ),
            environment=dict(PYTHONPATH=path),
        )
        for kind in FAULTS
    }
    ended = {
        kind: (process.communicate()[0], process.returncode) for kind, process in started.items()
    }
    return {kind: (code, out) for kind, (out, code) in ended.items()}


@pytest.mark.parametrize('kind', FAULTS)
def test_type_message_traceback_and_a_hint_are_the_last_on_the_screen(outputs, kind):
    code, out = outputs[kind]
    assert code == 1, out
    *_, trace = out.split('Traceback (most recent call last):\n')
    assert 'train.py: error' not in out
    # From the tool to the line that raised it.
    for place in (
        'tools/train.py", line',
        'mmkd_sod/models/algorithms/dense_distill.py", line',
        'failing_for_tests.py", line',
        'in fail\n',
    ):
        assert place in trace
    hint = 'Hint: raised in DenseDistill.distiller.loss_cls_kd'
    lines = trace.rstrip('\n').split('\n')
    # Python 3.10 shows the hint above the traceback.
    assert lines[-2:] == [FAULTS[kind], hint] or (lines[-1] == FAULTS[kind] and hint in out)
