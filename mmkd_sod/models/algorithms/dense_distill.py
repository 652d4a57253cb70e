"""DenseDistill: a student, its frozen teachers and a distiller as one model."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmrazor.models.algorithms import SingleTeacherDistill
from mmrazor.models.algorithms.base import BaseAlgorithm
from mmrazor.models.utils import add_prefix
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.data_preprocessors.normalisation import normalisation_of
from mmkd_sod.models.distillers.base import Distiller, Losses
from mmkd_sod.models.distillers.entries import idle_loss
from mmkd_sod.models.distillers.mmrazor_adapter import as_distiller
from mmkd_sod.models.recorders import hooks_fire
from mmkd_sod.models.submodules import apply_to_hidden
from mmkd_sod.models.teachers.frozen_teacher import AbsentTeacher, FrozenTeacher
from mmkd_sod.models.teachers.group import Teachers, build_teachers
from mmkd_sod.registry import MODELS

_STUDENT = 'architecture.'
_FSDP = '_fsdp_wrapped_module.'


def _metadata(state: Mapping) -> dict:
    """Versions of layers, which torch keeps beside the tensors of a state dict."""
    return getattr(state, '_metadata', None) or {}


def _plain_names(module: nn.Module, state: dict, prefix: str, *_) -> None:
    """State-dict hook: save the student's weights under the names of the plain model.

    Under FSDP they keep the names of this model, by which FSDP gathers them afterwards.
    """
    if prefix.endswith(_FSDP):
        return
    # The metadata of a state dict (versions of layers) has the same keys.
    for table in (state, _metadata(state)):
        for key in [key for key in table if key.startswith(prefix + _STUDENT)]:
            table[prefix + key[len(prefix + _STUDENT) :]] = table.pop(key)


def _own_names(module: nn.Module, state: dict, prefix: str, *_) -> None:
    """Load hook: invert ``_plain_names``; accept mmrazor's names and drop its teacher."""
    own = tuple(prefix + name for name in (_STUDENT, 'distiller.', 'data_preprocessor.'))
    metadata = _metadata(state)
    for key in [key for key in metadata if key.startswith(prefix) and not key.startswith(own)]:
        metadata.setdefault(prefix + _STUDENT + key[len(prefix) :], metadata[key])
    for key in [key for key in state if key.startswith(prefix)]:
        if key.startswith(prefix + 'teacher.'):
            del state[key]
        elif not key.startswith(own):
            state[prefix + _STUDENT + key[len(prefix) :]] = state.pop(key)


def _same_numbers(ours, theirs) -> bool:
    ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
    return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=0, atol=0.005)


@MODELS.register_module()
class DenseDistill(SingleTeacherDistill):
    """Distil a frozen teacher into a student, for any mmdet detector or mmseg segmentor.

    Differences from mmrazor's ``SingleTeacherDistill``, whose distillers it also accepts:

    - the teacher only runs its prediction forward (``mode='tensor'``), without labels, targets or
      losses, under ``no_grad`` and always in eval mode, dropout included;
    - the teacher is not a submodule: it is not part of the state dict, the optimizer, DDP buckets
      or EMA copies. Checkpoints hold the student under the names of the plain model and the learned
      parameters of the distiller under ``distiller.``, so mmdet and mmseg load them unchanged;
    - the teacher's weights are loaded and checked when training starts: testing needs no teacher;
    - the teacher's forward is made faster without changing its outputs by more than a tolerance;
    - building teacher and distiller does not advance torch's random state, so a plain and a
      distilled student of one seed start from the same weights.

    Losses are logged as ``student.*`` and ``distill.*``.

    To code that was written for a plain model, this model looks like the student: attributes that
    it does not have are read from the student (``model.bbox_head``), and ``named_parameters``
    returns the student's parameters under the student's names, as checkpoints do.

    Args:
        architecture (dict | BaseModel): The student: a model config, or
            ``dict(cfg_path='mmdet::gfl/gfl_r50_fpn_1x_coco.py', **overrides)``.
        teacher (dict | BaseModel, optional): The teacher, in the same form; or several by name,
            ``dict(big=dict(cfg_path=...), deep=dict(cfg_path=...))``, from which the entries of a
            ``CompositeDistiller`` choose. None for a distiller without a teacher, such as
            ``WeakLabelDistiller`` with labels from files.
        distiller (dict): A distiller of this package or mmrazor's ``ConfigurableDistiller``.
        teacher_ckpt (str | dict, optional): The teacher's weights: a path, a URL or any scheme
            of mmengine; for several teachers a dict by their names. May be None only for a teacher
            that is passed as a built model.
        teacher_allow_missing (Sequence[str] | dict): Shell patterns of teacher weights that may be
            missing in the checkpoint; ``['*']`` allows a random teacher. For all teachers, or by
            name.
        teacher_input (dict, optional): Where the teacher's input differs from the student's:
            ``dict(normalise=True)``, the batch in the mean, std and channel order of the teacher's
            preprocessor, ``dict(scale=2.)``, the batch at another resolution, or
            ``dict(view='teacher_view')``, the view that ``TeacherView`` stored in each sample; for
            several teachers by their names. See
            ``mmkd_sod.models.teachers.teacher_input.TeacherInput``.
        teacher_fold_bn (bool, optional): Fold the teacher's BN layers into its convolutions, unless
            that changes an output by more than 1e-4. Default None: as True, if
            ``mmkd_sod/models/acceleration`` exists.
        teacher_channels_last (bool, optional): Run the teacher in channels_last. Default None: on a
            CPU its backbone and neck, inside, unless that changes an output by more than 1e-4.
        teacher_autocast (str, optional): ``'bf16'`` or ``'fp16'`` for the teacher's forward alone.
        teacher_compile (bool): Run the teacher's backbone and neck through ``torch.compile`` and,
            on a CPU, its head's wide 3x3 convolutions by Winograd's algorithm, unless that changes
            an output by more than 1e-4. The first step takes a minute or two longer, the first
            batch of another size some seconds. Default: False.
        teacher_dtype (str, optional): ``'bfloat16'`` or ``'float16'``: keep the weights of the
            teacher's backbone and neck in half precision and run them in it, which halves their
            memory; the head stays in float32. Not with ``teacher_compile``.
        teacher_exact (bool): Switch every acceleration of the teacher off, whatever the five
            options above say: its modules run as in its own framework, in the precision of the
            surrounding code, and the outputs are bit for bit the same. Default: False.
        calculate_student_loss (bool): Add the student's own loss. If False, and the distiller does
            not read training targets, no labels are needed.
        module_inplace (bool, optional): Keep in-place activations on. Default None: off only for
            distillers that require it (those of mmrazor).
        check_preprocessor (bool): Refuse a teacher that was trained with another mean, std or
            channel order than the student. Default: True.
        data_preprocessor (dict, optional): Default: the student's own.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: The pair cannot work; the message names both sides.
    """

    def __init__(
        self,
        architecture: dict | BaseModel,
        teacher: dict | BaseModel | None,
        distiller: dict,
        teacher_ckpt: str | Mapping[str, str] | None = None,
        teacher_allow_missing: Sequence[str] | Mapping[str, Sequence[str]] = (),
        teacher_fold_bn: bool | None = None,
        teacher_channels_last: bool | None = None,
        teacher_autocast: str | None = None,
        calculate_student_loss: bool = True,
        module_inplace: bool | None = None,
        check_preprocessor: bool = True,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
        teacher_input: Mapping | None = None,
        teacher_compile: bool = False,
        teacher_exact: bool = False,
        teacher_dtype: str | None = None,
    ) -> None:
        # Not SingleTeacherDistill.__init__: it would register the teacher and load it unchecked.
        BaseAlgorithm.__init__(
            self,
            build_model(architecture, 'architecture'),
            data_preprocessor,
            init_cfg,
            module_inplace=True,
        )
        with torch.random.fork_rng(devices=[]):
            self._teachers = build_teachers(
                teacher,
                teacher_ckpt,
                teacher_allow_missing,
                teacher_input,
                fold_bn=teacher_fold_bn,
                channels_last=teacher_channels_last,
                autocast=teacher_autocast,
                compile=teacher_compile,
                exact=teacher_exact,
                dtype=teacher_dtype,
            )
            self.distiller = MODELS.build(distiller)
        if teacher is None and self._interface.requirements.teacher:
            raise ConfigError(
                f'DenseDistill: {self._interface.describe()} needs a teacher, got '
                'teacher=None; give one'
            )
        if not calculate_student_loss and self._interface.requirements.student_loss:
            raise ConfigError(
                f'DenseDistill: calculate_student_loss=False, but {self._interface.describe()} '
                "does not train the student's last layers, which would stay random; set it to True"
            )
        self.calculate_student_loss = calculate_student_loss
        # Set by mmrazor's StopDistillHook.
        self.distillation_stopped = False
        if check_preprocessor:
            self._check_preprocessors()
        if module_inplace is None:
            module_inplace = not self._interface.requirements.inplace_off
        if not module_inplace:
            for model in (self.student, *self.teachers.values()):
                for module in model.modules():
                    if 'inplace' in vars(module):
                        module.inplace = False
        self._teachers.attach(self._interface, self.student, self.data_preprocessor)
        self._register_state_dict_hook(_plain_names)
        self.register_load_state_dict_pre_hook(_own_names)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the student where this model has none of that name."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            student = vars(self).get('_modules', {}).get('architecture')
            if student is None:  # not built yet
                raise
            return getattr(student, name)

    def named_parameters(
        self, prefix: str = '', recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield parameters as torch does, the student's under the names of the plain model."""
        outer = f'{prefix}.' if prefix else ''
        for name, parameter in super().named_parameters(prefix, recurse, remove_duplicate):
            inner = name.removeprefix(outer).removeprefix(_STUDENT)
            yield outer + inner, parameter

    @property
    def teacher(self) -> BaseModel | None:
        """The frozen teacher, the first of several, or None; not a registered submodule."""
        return self._teacher.module

    @property
    def _interface(self) -> Distiller:
        return as_distiller(self.distiller)

    @property
    def teachers(self) -> dict[str, BaseModel]:
        """The frozen teachers by name; the only one has the name ''."""
        return self._teachers.modules

    @property
    def teacher_group(self) -> Teachers:
        """The frozen teachers with their checkpoints and inputs."""
        return self._teachers

    @property
    def _teacher(self) -> FrozenTeacher | AbsentTeacher:
        return self._teachers.first

    def _check_preprocessors(self) -> None:
        """Refuse teachers that were trained on images normalised otherwise than the student's."""
        ours = normalisation_of(self.data_preprocessor)
        for title, model in self.teachers.items():
            own = self._teachers.inputs[title]
            if own is not None and (own.view is not None or own.normalise):
                continue  # images are normalised as the teacher's preprocessor does it
            theirs = normalisation_of(model.data_preprocessor)
            for name in ('mean', 'std', 'swap'):
                pair = vars(ours)[name], vars(theirs)[name]
                if None not in pair and not _same_numbers(*pair):
                    raise ConfigError(
                        f'DenseDistill: the student normalises images with {name}={pair[0]}, the '
                        f'teacher was trained with {pair[1]}; use a teacher of the same '
                        'preprocessing, set teacher_input=dict(normalise=True), or set '
                        'check_preprocessor=False'
                    )

    def _apply(self, fn, recurse: bool = True):
        """Move the teachers with the student, and networks that either hides in an attribute."""
        super()._apply(fn, recurse)
        if recurse:
            apply_to_hidden(self.student, fn, tensors=False)
            self._teachers.move(fn)
        return self

    def __deepcopy__(self, memo):
        """Share the frozen teachers with copies, such as those of EMA."""
        self._teachers.share(memo)
        copied = self.__class__.__new__(self.__class__)
        memo[id(self)] = copied
        for name, value in self.__dict__.items():
            copied.__dict__[name] = copy.deepcopy(value, memo)
        return copied

    def train(self, mode: bool = True) -> 'DenseDistill':
        """Set the mode of student and distiller; teachers stay in eval mode."""
        nn.Module.train(self, mode)
        for teacher in self.teachers.values():
            teacher.eval()
        return self

    def init_weights(self) -> None:
        """Initialise the student, then load the teachers' weights.

        mmengine's Runner calls this when training starts, before the first step.

        Raises:
            CheckpointError: The teacher's weights are missing or do not fit.
        """
        super().init_weights()
        self.load_teacher()

    def load_teacher(self) -> None:
        """Load and check the teachers' weights, once.

        Raises:
            CheckpointError: The teacher's weights are missing or do not fit.
        """
        self._teachers.load()

    @property
    def distilling(self) -> bool:
        """Whether a distiller takes part in the current step."""
        return not self.distillation_stopped and self._interface.active

    def loss(self, batch_inputs: Tensor, data_samples: list | None = None) -> dict:
        """Compute the losses of one batch.

        The teacher runs first, so that its activations are freed before the student's are kept.

        Args:
            batch_inputs (Tensor): (N, C, H, W), preprocessed.
            data_samples (list, optional): Metadata and, for the student's loss, labels.

        Returns:
            dict: ``student.*`` and ``distill.*`` losses.

        Raises:
            ConfigError: Neither the student's loss nor a distiller takes part in the step.
        """
        if self.distilling:
            outputs, distilled = self._distilled_step(batch_inputs, data_samples)
        elif self.calculate_student_loss:
            outputs = self.student(batch_inputs, data_samples, mode='loss')
            distilled = {**self._interface.idle_losses(), **idle_loss(self.distiller)}
        else:
            raise ConfigError(
                'DenseDistill: calculate_student_loss=False, and every distiller is switched off '
                'in this step, so there is nothing to train on; keep one of them on'
            )
        losses = add_prefix(outputs, 'student') if self.calculate_student_loss else {}
        losses.update(add_prefix(distilled, 'distill'))
        return losses

    def _distilled_step(
        self, batch_inputs: Tensor, data_samples: list | None
    ) -> tuple[Any, Losses]:
        """Run teachers and student; return the student's outputs and the distiller's losses."""
        self.load_teacher()
        distiller = self._interface
        teacher_records = self._teachers(distiller, batch_inputs, data_samples)
        needs_loss = self.calculate_student_loss or distiller.requirements.student_targets
        with distiller.record_student() as student_record, hooks_fire(self.student):
            outputs = self.student(
                batch_inputs, data_samples, mode='loss' if needs_loss else 'tensor'
            )
        losses = distiller.step_losses(student_record, teacher_records)
        if not self.calculate_student_loss:
            # Layers after those that the distiller reads get no gradient otherwise.
            losses.update(idle_loss(self.student, self.distiller))
        return outputs, losses
