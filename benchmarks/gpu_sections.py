"""The sections of gpu.py: each returns its figures as a dict that json can hold."""

import copy
import dataclasses
import datetime
import functools
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import torch
from common import interleaved, median, ratio_of_medians, teacher_forward, training_step
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import init_default_scope
from pairs import PAIRS, TEACHER_OPTIONS, first_epoch, maps_batch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests.parity, tests.methods

from mmkd_sod.models.acceleration.parity import full_float32, largest_move
from mmkd_sod.registry import MODELS
from mmkd_sod.testing.fake_device import FakeDevice
from mmkd_sod.testing.fake_device import training_step as counted_step
from mmkd_sod.testing.operators import Step
from mmkd_sod.testing.small_detectors import SMALL_DETECTORS, random_batch, small_detector
from mmkd_sod.utils.tensors import flat

AMP = dict(float16=torch.float16, bfloat16=torch.bfloat16)


def on_cpu(device: str) -> bool:
    """Return whether this is the dry run."""
    return device == 'cpu'


@contextmanager
def tf32(on: bool):
    """Switch TF32 of convolutions and matrix products."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = on
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def crossed(name: str):
    """Build a small detector's DenseDistill with CrossKD and random weights."""
    init_default_scope('mmdet')
    MessageHub.get_current_instance().update_info('epoch', 10)  # TOOD asks for it
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=small_detector(name),
            teacher=small_detector(name, width=8),
            teacher_allow_missing=['*'],
            distiller=dict(type='mmkd_sod.CrossKDDistiller'),
        )
    )
    model.load_teacher()
    return model


def step_on(model, batch: dict, device: str) -> Step:
    """Run one training step and the raw predictions; the weights and buffers stay as they are."""
    kept = copy.deepcopy(model.state_dict())
    model.to(device).train().zero_grad()
    data = model.data_preprocessor(copy.deepcopy(batch), training=True)
    total, log = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    gradient = [p.grad.flatten().double().cpu() for p in model.parameters() if p.grad is not None]
    model.load_state_dict(kept)
    model.student.eval()
    with torch.no_grad():
        outputs = flat(model.student(data['inputs'], data['data_samples'], mode='tensor'))
    return Step(
        {name: value.detach().double().cpu() for name, value in log.items()},
        torch.cat(gradient),
        [x.double().cpu() for x in outputs],
        set(),
    )


def heads(device: str, tiny: bool) -> dict:
    """Compare each head's step on the device with the CPU's: losses, gradients, outputs."""
    found = {}
    for name in list(SMALL_DETECTORS)[:1] if tiny else SMALL_DETECTORS:
        try:
            batch = random_batch()
            wanted = step_on(crossed(name), batch, 'cpu')
            for on in (False, True):
                with tf32(on):
                    moved = wanted.differences(step_on(crossed(name), batch, device))
                key = f'{name}, TF32 {"on" if on else "off"}'
                found[key] = dict(zip(('losses', 'gradient', 'outputs'), moved, strict=True))
        except Exception as error:  # the other heads are worth their figures
            found[name] = dict(error=f'{type(error).__name__}: {error}'[:200])
    return found


def golden(device: str, tiny: bool) -> dict:
    """Compare with the numbers of the released programs; the largest relative differences."""
    from tests.parity.__main__ import cases, largest

    found = {}
    with full_float32(device):
        for method, path, compare, _ in cases()[4:5] if tiny else cases():
            if method == 'SCFNet':  # its network was read on a CPU
                continue
            pairs = largest(compare(path, device=device))
            found[path.stem] = {quantity: moved for quantity, (_, moved) in pairs.items()}
    return found


def options(device: str, tiny: bool) -> dict:
    """Measure how far each teacher option moves the teacher's outputs, TF32 off and on."""
    found = {}
    names = ('plain', 'default') if tiny else [n for n in TEACHER_OPTIONS if n != 'compiled_direct']
    for method in ('cskd',) if tiny else ('crosskd', 'cskd'):
        pair = PAIRS[method]
        pair = dataclasses.replace(pair, images=2) if tiny else pair
        for name in names:
            torch.manual_seed(0)
            model = pair.distilled(**TEACHER_OPTIONS[name]).to(device)
            data = model.data_preprocessor(pair.batch(), training=True)
            frozen = model.teacher_group.first
            with full_float32(device):
                frozen_outputs = flat(model.teacher(**data, mode='tensor'))
            for on in (False, True):
                with tf32(on):
                    frozen.tune()
                    moved = largest_move(flat(frozen(*data.values())), frozen_outputs)
                found[f'{method} {name}, TF32 {"on" if on else "off"}'] = dict(moved=moved)
    return found


def amp(device: str, tiny: bool) -> dict:
    """Train each method in half precision; losses have to stay finite."""
    from tests.methods import METHODS, build
    from tests.test_precision import batch_of

    found = {}
    # float16 takes minutes on a CPU.
    for method in ('crosskd', 'hkd') if tiny else METHODS:
        for name, dtype in list(AMP.items())[tiny:]:
            torch.manual_seed(0)
            model = first_epoch(build(method)).to(device)
            model.train()
            optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)
            scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)
            losses = []
            for step in range(1 if tiny else 50):
                data = model.data_preprocessor(batch_of(method, step), training=True)
                with torch.autocast(device, dtype):
                    loss, _ = model.parse_losses(model(**data, mode='loss'))
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                losses.append(loss.detach())
            losses = torch.stack(losses)
            found[f'{method} {name}'] = dict(
                finite=bool(losses.isfinite().all()),
                first=losses[0].item(),
                last=losses[-1].item(),
                scale=scaler.get_scale(),
            )
    return found


def sync(device: str, tiny: bool) -> dict:
    """Count host synchronisations of a step, plain and distilled; on a CPU on the fake device."""
    found = {}
    for method in ('cskd',) if tiny else PAIRS:
        pair = PAIRS[method]
        pair = dataclasses.replace(pair, images=2 if tiny else pair.images)
        models = dict(distilled=pair.distilled)
        if method != 'weak_label':
            models['plain'] = pair.student
        found[method] = {
            name: _syncs(make(), pair.batch(), device) for name, make in models.items()
        }
    return found


def _syncs(model, batch: dict, device: str) -> int:
    if on_cpu(device):
        with FakeDevice() as counted:
            counted_step(model, batch, counted)
        return counted.syncs.total()
    model.to(device).train()
    for _ in range(2):
        data = model.data_preprocessor(copy.deepcopy(batch), training=True)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter('always')
            torch.cuda.set_sync_debug_mode('warn')
            try:
                model.parse_losses(model(**data, mode='loss'))[0].backward()
            finally:
                torch.cuda.set_sync_debug_mode('default')
    return sum('synchronizing' in str(one.message) for one in seen)


def nccl(device: str, tiny: bool) -> dict:
    """Run one step of each method under DistributedDataParallel with one rank."""
    from tests.methods import METHODS, build
    from tests.test_precision import batch_of

    backend = 'gloo' if on_cpu(device) else 'nccl'
    with tempfile.TemporaryDirectory() as folder:
        torch.distributed.init_process_group(
            backend,
            init_method=f'file://{folder}/store',
            rank=0,
            world_size=1,
            timeout=datetime.timedelta(seconds=60),
        )
        try:
            found = {}
            for method in list(METHODS)[:1] if tiny else METHODS:
                torch.manual_seed(0)
                model = first_epoch(build(method)).to(device)
                wrapped = MMDistributedDataParallel(
                    model.train(), device_ids=None if on_cpu(device) else [0]
                )
                data = model.data_preprocessor(batch_of(method, 0), training=True)
                total, _ = model.parse_losses(wrapped(**data, mode='loss'))
                total.backward()
                found[method] = dict(backend=backend, loss=total.item())
            return found
        finally:
            torch.distributed.destroy_process_group()


def _real(method: str, config: str, images: int, size: tuple, **changes):
    return dataclasses.replace(PAIRS[method], config=config, images=images, size=size, **changes)


SIZES = dict(
    crosskd=_real('crosskd', 'crosskd/gfl_r50', 16, (800, 1344)),
    cskd=_real(
        'cskd',
        'cskd/pspnet_r18_cityscapes_pspnet',
        16,
        (512, 1024),
        data=lambda images, size: maps_batch(images, size, 19),
    ),
    weak_label=_real('weak_label', 'scfnet/kd_scfnet_mobilenetv3', 30, (352, 352)),
    hkd=_real('hkd', 'hkdnet/hkdnet_s_hkd', 8, (352, 352)),
)


def size_of(method: str, device: str, tiny: bool) -> dict:
    """Time the steps of a method at its real size against plain training and teacher forward."""
    pair = SIZES[method]
    if tiny:
        pair = dataclasses.replace(PAIRS[method], images=2, size=(64, 64))
    while True:
        try:
            return _timed(pair, device, tiny)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            if pair.images < 2:
                raise
            pair = dataclasses.replace(pair, images=pair.images // 2)


def _timed(pair, device: str, tiny: bool) -> dict:
    data = pair.batch()

    def on_device(model):
        return revert_sync_batchnorm(model).to(device)

    variants: dict[str, Callable] = dict(
        student=training_step(on_device(pair.student()), data),
        teacher=teacher_forward(on_device(pair.teacher()), data),
        mmrazor=training_step(on_device(pair.mmrazor()), data),
        distilled=training_step(on_device(pair.distilled()), data),
    )
    peaks = {}
    for name, step in variants.items():
        step()
        if not on_cpu(device):
            torch.cuda.reset_peak_memory_stats()
            step()
            peaks[name] = round(torch.cuda.max_memory_allocated() / 2**20)
    seconds = interleaved(variants, *((1, 0) if tiny else (10, 2)), device)
    bound = ratio_of_medians(seconds, 'distilled', 'student', 'teacher')
    return dict(
        config=pair.config,
        images=pair.images,
        size=list(pair.size),
        ms={name: round(median(values) * 1000, 2) for name, values in seconds.items()},
        images_per_s=round(pair.images / median(seconds['distilled']), 2),
        over_bound=bound,
        mmrazor_over_bound=ratio_of_medians(seconds, 'mmrazor', 'student', 'teacher'),
        peak_mib=peaks,
    )


# In the order of their value.
SECTIONS: dict[str, Callable[[str, bool], dict]] = dict(
    heads=heads,
    golden=golden,
    options=options,
    amp=amp,
    sync=sync,
    nccl=nccl,
    **{f'size_{method}': functools.partial(size_of, method) for method in SIZES},
)
