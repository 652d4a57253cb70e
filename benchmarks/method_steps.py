"""A training step of CSKD, weak labels and HKD against its lower bound.

The small pairs of configs/demo, random weights, random images. The lower bound is the plain
student's step plus the plain teacher's forward; where labels come from files, the student's alone.
"""
import copy
from collections.abc import Callable

import torch
from common import (
    RESULTS,
    interleaved,
    load,
    machine,
    median,
    paired_ratio,
    parser,
    save,
    teacher_forward,
    training_step,
)
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import mmkd_sod  # noqa: F401
from mmkd_sod.models.builder import build_model
from mmkd_sod.registry import MODELS

# Method to its demo config; batch and size are the config's own.
METHODS = dict(
    cskd=('camvid_pspnet_cskd', 8, (180, 240), 11),
    weak_label=('human_seg_scfnet_kd', 8, (224, 224), 2),
    hkd=('groups_hkdnet_hkd', 8, (128, 128), 2))


def batch(images: int, size: tuple[int, int], classes: int, depth: bool) -> dict:
    """Random images with masks, weak labels and, if wanted, depth maps."""
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.randint(0, 256, (3, *size), generator=generator).byte()
                for _ in range(images)]
    samples = []
    for _ in range(images):
        sample = SegDataSample(metainfo=dict(
            img_shape=size, pad_shape=size, ori_shape=size, batch_input_shape=size))
        sample.gt_sem_seg = PixelData(
            data=torch.randint(0, classes, (1, *size), generator=generator))
        sample.weak_label = PixelData(data=torch.rand(1, *size, generator=generator))
        samples.append(sample)
    inputs = pictures
    if depth:
        inputs = dict(img=pictures, depth=[torch.rand(1, *size, generator=generator)
                                           for _ in range(images)])
    return dict(inputs=inputs, data_samples=samples)


def variants(method: str, device: str) -> tuple[dict[str, Callable[[], None]], dict]:
    """Name to step function, and what names each variant's lower bound."""
    name, images, size, classes = METHODS[method]
    cfg = Config.fromfile(f'configs/demo/{name}.py')
    init_default_scope(cfg.default_scope)
    recipe = cfg.model
    recipe.update(teacher_ckpt=None, teacher_allow_missing=['*'])
    if method == 'weak_label':
        recipe.architecture.data_preprocessor = dict(sides=size[:1])
    data = batch(images, size, classes, method == 'hkd')

    def distilled(**options):
        model = MODELS.build({**copy.deepcopy(recipe), **options}).to(device)
        model.load_teacher()
        if hasattr(model.distiller, 'set_epoch'):
            model.distiller.set_epoch(0)
        return training_step(model, data)

    def student():
        model = build_model(copy.deepcopy(recipe.architecture)).to(device)
        for module in model.modules():
            if hasattr(module, 'set_epoch'):
                module.set_epoch(0)
        return training_step(model, data)

    made = dict(student=student(),
                teacher=teacher_forward(build_model(copy.deepcopy(recipe.teacher)).to(device),
                                        data))
    both = ('student', 'teacher')
    if method == 'weak_label':
        made['online'] = distilled()
        made['offline'] = distilled(
            teacher=None, distiller=dict(type='mmkd_sod.WeakLabelDistiller', source='offline'))
        return made, dict(online=both, offline=both[:1])
    made[method] = distilled()
    made['channels_last'] = distilled(teacher_channels_last=True)
    return made, {method: both, 'channels_last': both}


def main() -> None:
    """Time each method in turn; methods that are not asked for keep their results."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument('--methods', nargs='*', default=list(METHODS), choices=list(METHODS))
    args = arguments.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    name = f'method_steps_{args.device}'
    content = load(name) if (RESULTS / f'{name}.json').is_file() else {}
    for method in args.methods:
        made, bounds = variants(method, args.device)
        seconds = interleaved(made, args.rounds, args.warmup, args.device)
        ratios = {name: paired_ratio(seconds, name, *bound) for name, bound in bounds.items()}
        config, images, size, _ = METHODS[method]
        content[method] = dict(
            machine=machine(args.device), config=config, images=images, size=list(size),
            rounds=args.rounds, over_bound=ratios,
            seconds={name: median(values) for name, values in seconds.items()})
        print(method, {name: f'{ratio:.3f} x bound' for name, ratio in ratios.items()})
        print('results:', save(name, content).name)


if __name__ == '__main__':
    main()
