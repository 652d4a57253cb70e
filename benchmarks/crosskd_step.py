"""One CrossKD training step against its lower bound: plain student step + plain teacher forward.

GFL ResNet-18 <- GFL ResNet-50 of the recipe configs/crosskd/gfl_r18.py, random weights and
images. Everything takes turns in one process; the peer is mmrazor's SingleTeacherDistill with PKD
alone, which does less (no second pass through the teacher's head).
"""
import copy

import torch
from common import (
    interleaved,
    machine,
    median,
    paired_ratio,
    parser,
    peak_memory_mib,
    print_peak_memory,
    save,
    teacher_forward,
    training_step,
)
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmkd_sod  # noqa: F401
from mmkd_sod.models.builder import build_model
from mmkd_sod.registry import MODELS

OPTIONS = dict(
    crosskd=dict(),
    crosskd_not_folded=dict(teacher_fold_bn=False),
    crosskd_channels_last=dict(teacher_channels_last=True))


def batch(images: int, height: int, width: int) -> dict:
    """Random images with five boxes each."""
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData
    torch.manual_seed(0)
    inputs, samples = [], []
    for _ in range(images):
        inputs.append(torch.randint(0, 256, (3, height, width)).byte())
        corner = torch.rand(5, 2) * torch.tensor([width, height]) * 0.6
        sample = DetDataSample(metainfo=dict(
            img_shape=(height, width), pad_shape=(height, width),
            batch_input_shape=(height, width), scale_factor=(1., 1.)))
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + 20 + torch.rand(5, 2) * 60], 1),
            labels=torch.randint(0, 80, (5, )))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def variants(data: dict, names, device: str) -> dict:
    """Name to step function."""
    init_default_scope('mmdet')
    recipe = Config.fromfile('configs/crosskd/gfl_r18.py').model
    recipe.update(teacher_ckpt=None, teacher_allow_missing=['*'])
    recipe.architecture.backbone.init_cfg = None
    made = {}

    def distilled(**options):
        model = MODELS.build(dict(copy.deepcopy(recipe), **options))
        model._teacher.load()
        return training_step(model.to(device), data)

    def student():
        return training_step(build_model(recipe.architecture).to(device), data)

    def teacher():
        return teacher_forward(build_model(recipe.teacher).to(device), data)

    def mmrazor_pkd():
        from mmrazor.models.algorithms import SingleTeacherDistill
        recorder = dict(neck=dict(type='mmrazor.ModuleOutputs', source='neck'))
        distiller = dict(
            type='mmrazor.ConfigurableDistiller', student_recorders=recorder,
            teacher_recorders=copy.deepcopy(recorder),
            distill_losses=dict(loss_pkd=dict(type='mmrazor.PKDLoss', loss_weight=6.0)),
            loss_forward_mappings=dict(loss_pkd=dict(
                preds_S=dict(recorder='neck', from_student=True),
                preds_T=dict(recorder='neck', from_student=False))))
        model = SingleTeacherDistill(distiller=distiller, teacher=build_model(recipe.teacher),
                                     architecture=build_model(recipe.architecture))
        return training_step(model.to(device), data)

    builders = dict(student=student, teacher=teacher, mmrazor_pkd=mmrazor_pkd)
    for name in names:
        made[name] = builders[name]() if name in builders else distilled(**OPTIONS[name])
    return made


def main() -> None:
    """Time all variants, then measure the memory of each in a process of its own."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.add_argument('--images', type=int, default=2)
    arguments.add_argument('--size', type=int, nargs=2, default=(256, 320), metavar=('H', 'W'))
    arguments.add_argument('--memory-of', help='run this variant alone and print its peak memory')
    args = arguments.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    data = batch(args.images, *args.size)
    names = ['student', 'teacher', *OPTIONS, 'mmrazor_pkd']
    if args.memory_of:
        step = variants(data, [args.memory_of], args.device)[args.memory_of]
        for _ in range(2):
            step()
        print_peak_memory()
        return
    seconds = interleaved(
        variants(data, names, args.device), args.rounds, args.warmup, args.device)
    content = dict(
        machine=machine(args.device), images=args.images, size=list(args.size),
        rounds=args.rounds, seconds={name: median(values) for name, values in seconds.items()},
        over_bound={name: paired_ratio(seconds, name, 'student', 'teacher')
                    for name in names if name not in ('student', 'teacher')})
    if args.device == 'cpu':
        content['peak_memory_mib'] = {
            name: peak_memory_mib(__file__, '--memory-of', name, '--images', str(args.images),
                                  '--size', *map(str, args.size)) for name in names}
    for name in names:
        ratio = content['over_bound'].get(name)
        memory = content.get('peak_memory_mib', {}).get(name)
        print(f"{name:24}{content['seconds'][name] * 1000:9.1f} ms"
              + (f'   {ratio:.3f} x bound' if ratio else ' ' * 16)
              + (f'   {memory:8.0f} MiB' if memory else ''))
    print('results:', save(f'crosskd_step_{args.device}', content).name)


if __name__ == '__main__':
    main()
