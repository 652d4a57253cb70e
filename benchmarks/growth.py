"""Time of a step relative to its bound, by image size, batch, levels, classes and teachers.

CrossKD and CSKD on the small models of configs/demo (GFL and PSPNet, random weights and images),
with one property changed at a time. The lower bound is the plain student's step plus the forward
pass of every plain teacher.
"""

import copy

from cells import Cells
from common import parse, parser, ratios, teacher_forward, timed, training_step
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pairs import boxes_batch, maps_batch

from mmkd_sod.models.builder import build_model, resolve_model_cfg
from mmkd_sod.registry import MODELS

# Config and values of each axis by method. The first value is the demo's; it is used while another
# axis changes.
AXES = dict(
    crosskd=(
        'bccd_gfl_crosskd',
        dict(
            size=(160, 96, 128, 224, 320),
            batch=(8, 1, 2, 4, 16),
            levels=(5, 3, 4, 6),
            classes=(3, 80, 365),
            teachers=(1, 2, 3),
        ),
    ),
    cskd=(
        'camvid_pspnet_cskd',
        dict(
            size=(180, 90, 135, 270, 360),
            batch=(8, 3, 4, 16),
            channels=(48, 96, 192),
            classes=(11, 80, 365),
            teachers=(1, 2, 3),
        ),
    ),
)


def set_levels(model: dict, levels: int) -> None:
    """Set the number of pyramid levels of a detector, from stride 8 on."""
    model['neck']['num_outs'] = levels
    model['bbox_head']['anchor_generator']['strides'] = [8 * 2**level for level in range(levels)]


def set_channels(model: dict, channels: int) -> None:
    """Set the channels of a segmentor's decode head, and so of its last feature."""
    model['decode_head']['channels'] = channels


def set_classes(model: dict, classes: int) -> None:
    """Set the number of classes of all heads of a model."""
    for head in ('bbox_head', 'decode_head', 'auxiliary_head'):
        if head in model:
            model[head]['num_classes'] = classes


def recipe(method: str, point: dict) -> tuple[dict, dict]:
    """Return model config and batch of one point of the axes."""
    config, _ = AXES[method]
    cfg = Config.fromfile(f'configs/demo/{config}.py')
    init_default_scope(cfg.default_scope)
    model = cfg.model
    for side in ('architecture', 'teacher'):
        model[side] = resolve_model_cfg(model[side])
        set_classes(model[side], point['classes'])
        if method == 'crosskd':
            set_levels(model[side], point['levels'])
        else:
            set_channels(model[side], point['channels'] * (1 if side == 'architecture' else 2))
    height = point['size']
    width = height if method == 'crosskd' else height * 4 // 3
    if method == 'cskd':
        model.architecture.data_preprocessor.size = (height, width)
        model.teacher.data_preprocessor.size = (height, width)
    make = boxes_batch if method == 'crosskd' else maps_batch
    return model, make(point['batch'], (height, width), point['classes'])


def variants(method: str, point: dict, device: str) -> tuple[dict, tuple]:
    """Return step functions by name, and the names of those that make up the bound."""
    model, data = recipe(method, point)
    names = [f'teacher{number}' for number in range(point['teachers'])]
    made = dict(
        student=training_step(build_model(copy.deepcopy(model.architecture)).to(device), data)
    )
    for name in names:
        made[name] = teacher_forward(build_model(copy.deepcopy(model.teacher)).to(device), data)
    distilled = dict(copy.deepcopy(model), teacher_ckpt=None, teacher_allow_missing=['*'])
    if len(names) > 1:
        distilled['teacher'] = dict.fromkeys(names, model.teacher)
        distilled['distiller'] = dict(
            type='mmkd_sod.CompositeDistiller',
            distillers=[
                dict(
                    distiller=copy.deepcopy(model.distiller),
                    name=name,
                    teacher=name,
                    weight=1 / len(names),
                )
                for name in names
            ],
        )
    built = MODELS.build(distilled)
    built.load_teacher()
    made[method] = training_step(built.to(device), data)
    return made, ('student', *names)


def points(method: str) -> dict[str, dict]:
    """Return the settings of each cell; the demo's own point occurs once per axis."""
    axes = AXES[method][1]
    start = {axis: values[0] for axis, values in axes.items()}
    return {
        f'{method} {axis} {value}': {**start, axis: value}
        for axis, values in axes.items()
        for value in sorted(values)
    }


def main() -> None:
    """Time every point."""
    args = parser(__doc__.splitlines()[0])
    args.set_defaults(rounds=9, warmup=2)
    args = parse(args)
    found = {key: point for method in AXES for key, point in points(method).items()}

    def measure(key: str) -> dict:
        method, axis, _ = key.split()
        made, bound = variants(method, found[key], args.device)
        return dict(
            config=AXES[method][0],
            axis=axis,
            value=found[key][axis],
            **timed(made, {method: bound}, args),
        )

    Cells(f'growth_{args.device}', dict(rounds=args.rounds), args.device, args.again).measure(
        found, measure, ratios
    )


if __name__ == '__main__':
    main()
