"""The student and teacher with which each method is measured: random weights, random images.

CrossKD uses the recipe configs/crosskd/gfl_r18.py (GFL ResNet-18 <- GFL ResNet-50), the others the
small models of configs/demo.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import torch
from common import teacher_forward, training_step
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch import nn

import mmkd_sod  # noqa: F401
from mmkd_sod.models.acceleration import accelerator
from mmkd_sod.models.builder import build_model
from mmkd_sod.registry import MODELS


def boxes_batch(images: int, size: tuple[int, int], classes: int = 80) -> dict:
    """Return random images with five boxes each."""
    from mmdet.structures import DetDataSample

    torch.manual_seed(0)
    height, width = size
    inputs, samples = [], []
    for _ in range(images):
        inputs.append(torch.randint(0, 256, (3, height, width)).byte())
        corner = torch.rand(5, 2) * torch.tensor([width, height]) * 0.6
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(height, width),
                pad_shape=(height, width),
                batch_input_shape=(height, width),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + 20 + torch.rand(5, 2) * 60], 1),
            labels=torch.randint(0, classes, (5,)),
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def maps_batch(images: int, size: tuple[int, int], classes: int, depth: bool = False) -> dict:
    """Return random images with masks, weak labels and optionally depth maps."""
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(0)
    pictures = [
        torch.randint(0, 256, (3, *size), generator=generator).byte() for _ in range(images)
    ]
    samples = []
    for _ in range(images):
        sample = SegDataSample(
            metainfo=dict(img_shape=size, pad_shape=size, ori_shape=size, batch_input_shape=size)
        )
        sample.gt_sem_seg = PixelData(
            data=torch.randint(0, classes, (1, *size), generator=generator)
        )
        sample.weak_label = PixelData(data=torch.rand(1, *size, generator=generator))
        samples.append(sample)
    inputs = pictures
    if depth:
        inputs = dict(
            img=pictures, depth=[torch.rand(1, *size, generator=generator) for _ in range(images)]
        )
    return dict(inputs=inputs, data_samples=samples)


def _razor(source: dict, loss: dict, inputs: tuple[str, str], **data) -> dict:
    """Return an mmrazor distiller that compares one recorded tensor."""
    recorder = dict(what=source)
    return dict(
        type='mmrazor.ConfigurableDistiller',
        student_recorders=recorder,
        teacher_recorders=copy.deepcopy(recorder),
        distill_losses=dict(loss_kd=loss),
        loss_forward_mappings=dict(
            loss_kd={
                name: dict(recorder='what', from_student=student, **data)
                for name, student in zip(inputs, (True, False), strict=True)
            }
        ),
    )


def _head_output(head: str) -> dict:
    return dict(type='mmrazor.MethodOutputs', source=f'{head}.forward')


@dataclass(frozen=True)
class Pair:
    """A student, a teacher and their batch.

    Attributes:
        config (str): The distillation's config.
        images (int): Images per step.
        size (tuple[int, int]): Height and width of the images.
        data (Callable): Creates the batch from ``images`` and ``size``.
        razor (dict): The most similar distiller of mmrazor.
        closest (str): What that distiller compares.
    """

    config: str
    images: int
    size: tuple
    data: Callable[[int, tuple], dict]
    razor: dict
    closest: str

    def batch(self) -> dict:
        """Return the batch."""
        return self.data(self.images, self.size)

    def recipe(self) -> dict:
        """Return the model config with a random teacher."""
        cfg = Config.fromfile(f'configs/{self.config}.py')
        init_default_scope(cfg.default_scope)
        model = cfg.model
        model.update(teacher_ckpt=None, teacher_allow_missing=['*'])
        if self.config.startswith('crosskd'):
            model.architecture.backbone.init_cfg = None
        if 'scfnet' in self.config:  # one batch size for all rounds
            model.architecture.data_preprocessor = dict(sides=self.size[:1])
        return model

    def student(self):
        """Build the plain student."""
        return first_epoch(build_model(copy.deepcopy(self.recipe().architecture)))

    def teacher(self):
        """Build the plain teacher."""
        return build_model(copy.deepcopy(self.recipe().teacher))

    def distilled(self, **options):
        """Build DenseDistill with a loaded teacher; options override its arguments."""
        model = MODELS.build({**self.recipe(), **options})
        model.load_teacher()
        return first_epoch(model)

    def mmrazor(self):
        """Build mmrazor's SingleTeacherDistill."""
        from mmrazor.models.algorithms import SingleTeacherDistill

        recipe = self.recipe()
        return first_epoch(
            SingleTeacherDistill(
                distiller=copy.deepcopy(self.razor),
                teacher=self.teacher(),
                architecture=self.student(),
                calculate_student_loss=recipe.get('calculate_student_loss', True),
            )
        )


def first_epoch(model: nn.Module) -> nn.Module:
    """Set the epoch of all modules that depend on it to the first one."""
    for module in model.modules():
        if hasattr(module, 'set_epoch'):
            module.set_epoch(0)
    return model


PAIRS = dict(
    crosskd=Pair(
        'crosskd/gfl_r18',
        2,
        (256, 320),
        boxes_batch,
        _razor(
            dict(type='mmrazor.ModuleOutputs', source='neck'),
            dict(type='mmrazor.PKDLoss', loss_weight=6.0),
            ('preds_S', 'preds_T'),
        ),
        "PKD on the neck; no second pass through the teacher's head",
    ),
    cskd=Pair(
        'demo/camvid_pspnet_cskd',
        8,
        (180, 240),
        lambda images, size: maps_batch(images, size, 11),
        _razor(
            _head_output('mmseg.models.decode_heads.psp_head.PSPHead'),
            dict(type='mmrazor.ChannelWiseDivergence', tau=2.0, loss_weight=3.0),
            ('preds_S', 'preds_T'),
        ),
        'CWD on the logits; no attention, no CKA',
    ),
    weak_label=Pair(
        'demo/human_seg_scfnet_kd',
        8,
        (224, 224),
        lambda images, size: maps_batch(images, size, 2),
        _razor(
            _head_output('mmkd_sod.models.decode_heads.scf_head.SCFHead'),
            dict(type='mmrazor.L2Loss', normalize=False),
            ('s_feature', 't_feature'),
            data_idx=0,
        ),
        'L2 on the finest map',
    ),
    hkd=Pair(
        'demo/groups_hkdnet_hkd',
        8,
        (128, 128),
        lambda images, size: maps_batch(images, size, 2, depth=True),
        _razor(
            _head_output('mmkd_sod.models.decode_heads.hkd_head.HKDHead'),
            dict(type='mmrazor.L2Loss', normalize=False),
            ('s_feature', 't_feature'),
            data_idx=0,
        ),
        'L2 on the finest map',
    ),
)

# Options of DenseDistill for the teacher's speed; `default` is without any setting.
TEACHER_OPTIONS = dict(
    plain=dict(teacher_exact=True),
    folded=dict(teacher_channels_last=False),
    default=dict(),
    channels_last=dict(teacher_channels_last=True),
    compiled=dict(teacher_compile=True),
    # Compiled, with the head's convolutions computed directly: see `steps`.
    compiled_direct=dict(teacher_compile=True),
    autocast_bf16=dict(teacher_autocast='bf16'),
)


def steps(method: str, names, device: str) -> dict[str, Callable[[], None]]:
    """Return functions that run one step, by name.

    Args:
        method (str): Key of ``PAIRS``.
        names (Sequence[str]): ``student``, ``teacher``, ``mmrazor``, ``offline`` or keys of
            ``TEACHER_OPTIONS``.
        device (str): 'cpu' or 'cuda'.
    """
    pair = PAIRS[method]
    data = pair.batch()
    offline = dict(
        teacher=None, distiller=dict(type='mmkd_sod.WeakLabelDistiller', source='offline')
    )
    models = dict(
        student=pair.student, mmrazor=pair.mmrazor, offline=lambda: pair.distilled(**offline)
    )
    made = {}
    for name in names:
        if name == 'teacher':
            made[name] = teacher_forward(pair.teacher().to(device), data)
        elif name in models:
            made[name] = training_step(models[name]().to(device), data)
        else:
            step = training_step(pair.distilled(**TEACHER_OPTIONS[name]).to(device), data)
            if name == 'compiled_direct':
                # The first step decides on the accelerations.
                with mock.patch.object(accelerator, 'use_winograd', lambda *_: lambda: None):
                    step()
            made[name] = step
    return made
