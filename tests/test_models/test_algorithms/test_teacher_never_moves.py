"""A teacher's weights and buffers are the same after an epoch, whatever happens around it."""

import hashlib

import pytest
import torch
from mmengine.model import MMDistributedDataParallel

from tests.methods import FOUR, METHODS, build, loader, runner


def content(module) -> str:
    """Hash of all parameters and buffers, those that are in no state dict included."""
    digest = hashlib.sha256()
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        raw = value.detach().contiguous().reshape(-1).view(torch.uint8)
        digest.update(name.encode() + raw.numpy().tobytes())
    return digest.hexdigest()


def made(method):
    # Unfolded, so that batch norm's statistics are there to be moved.
    model = build(method, teacher_fold_bn=False)
    model.load_teacher()
    return model


def check(model, before):
    teacher = model.teacher
    assert content(teacher) == before
    assert not any(module.training for module in teacher.modules())
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())


@pytest.fixture
def gloo(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_the_teachers_hold_what_could_move():
    names = {type(module).__name__ for method in FOUR for module in made(method).teacher.modules()}
    assert {'BatchNorm2d', 'Dropout2d', 'GroupNorm', 'LayerNorm'} <= names
    model = made('cskd_learned')
    before = content(model.teacher)
    next(value for name, value in model.teacher.named_buffers() if 'running_mean' in name).add_(1)
    assert content(model.teacher) != before


@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
@pytest.mark.parametrize('method', FOUR)
def test_after_epochs_with_ema(tmp_path, method, precision):
    model = made(method)
    before, student = content(model.teacher), content(model.student)
    with torch.autocast('cpu', torch.bfloat16, enabled=precision == 'bfloat16'):
        run = runner(method, tmp_path, steps=2, model=model)
        run.train()
    check(model, before)
    assert content(model.student) != student
    trained = {id(p) for group in run.optim_wrapper.optimizer.param_groups for p in group['params']}
    assert not trained & {id(p) for p in model.teacher.parameters()}
    ema = next(hook.ema_model for hook in run.hooks if hasattr(hook, 'ema_model'))
    assert not {'teacher', '_teacher'} & set(dict(ema.module.named_children()))
    assert ema.module.teacher is model.teacher


@pytest.mark.parametrize('method', FOUR)
def test_in_distributed_data_parallel(gloo, method):
    model = made(method)
    before = content(model.teacher)
    wrapped = MMDistributedDataParallel(model, device_ids=None).train()
    buckets = {name for name, _ in wrapped.named_parameters()}
    assert not any('teacher' in name and 'projection' not in name for name in buckets)
    data = loader(method)['dataset']
    batch = [data[i] for i in range(4)]
    data = dict(data_samples=[sample['data_samples'] for sample in batch])
    if METHODS[method][1] == 'group':
        data['inputs'] = {
            key: [sample['inputs'][key] for sample in batch] for key in ('img', 'depth')
        }
    else:
        data['inputs'] = [sample['inputs'] for sample in batch]
    for module in model.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    losses = wrapped(**model.data_preprocessor(data, training=True), mode='loss')
    model.parse_losses(losses)[0].backward()
    check(model, before)
