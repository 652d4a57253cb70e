"""HKDNet's distillation: logits, fused features and similarities within a batch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.decode_heads.hkd_head import HKDHead
from mmkd_sod.models.losses.soft_signal import fit_temperature, map_entropy
from mmkd_sod.models.recorders import ForwardRecorder, MethodRecorder, Record, Recorder
from mmkd_sod.models.saliency import resize_like, saliency_logits
from mmkd_sod.models.submodules import submodule
from mmkd_sod.registry import MODELS

from .base import DenseDistiller, Losses, Recorders, Requirements
from .hkd_schedule import HKDSchedule, HKDStage
from .segmentors import decode_head_of

# Kind of feature -> the loss that reads it.
READERS = dict(fused='loss_fpd', encoder='loss_dssd', decoder='loss_dssd_decoder')
# Modules of HKDNet whose outputs are these features; the fused ones depend on its levels.
_ENCODERS = ('backbone.rgb', 'backbone.depth')
_DECODERS = ('decode_head.decoders.rgb', 'decode_head.decoders.depth')


@dataclass
class HKDOutputs:
    """The outputs of one network in a step; empty where no loss reads them.

    Attributes:
        logits (list[Tensor]): Maps (N, C, H, W), finest first.
        fused (list[Tensor]): Fused features, finest first.
        encoder (list[Tensor]): Deepest encoder features.
        decoder (list[Tensor]): Features of the decoder branches.
    """

    logits: list = field(default_factory=list)
    fused: list = field(default_factory=list)
    encoder: list = field(default_factory=list)
    decoder: list = field(default_factory=list)


def _as_list(output) -> list:
    return [output] if isinstance(output, Tensor) else list(output)


@MODELS.register_module()
class HKDDistiller(DenseDistiller):
    """Hybrid distillation of HKDNet (IEEE TSMC-S 2025); every loss can be used alone.

    ====================  ==========================================================  ==============
    loss                  what it compares                                            works for
    ====================  ==========================================================  ==============
    loss_pnlad            the maps that ``decode_head.forward`` returns               any segmentor
                                                                                      of mmseg
    loss_fpd              the four fused features                                     HKDNet, or
    loss_dssd             the deepest feature of each encoder                         what
    loss_dssd_decoder     the features of both decoder branches (first stage only)    ``sources``
                                                                                      names
    ====================  ==========================================================  ==============

    Losses: ``loss_pos``, ``loss_neg``, ``loss_fpd``, ``loss_dssd``, ``loss_dssd_decoder`` and
    ``loss_label``. Logged only: ``teacher_entropy``, the entropy of the teacher's finest map at the
    positive term's temperature (1 flat, 0 saturated), and ``tau_pos``, that temperature.

    Maps of student and teacher are compared level by level where both have the same number,
    otherwise every map of the student is compared with the teacher's finest; the student's map is
    resized to the teacher's. A model with one output channel and one with two (background, salient)
    can be combined. Padding of a batch is not masked; images of one size have none.

    Args:
        loss_pnlad (dict, optional): ``PNLADLoss``; None: logits are not compared.
        loss_fpd (dict, optional): ``FPDLoss`` on fused features.
        loss_dssd (dict, optional): ``DSSDLoss`` on deepest encoder features.
        loss_dssd_decoder (dict, optional): ``DSSDLoss`` on decoder features.
        label_weight (float): Weight of the student's own decode loss in the positive term;
            released: 0.0625, with a ``pos_weight`` of 0.9375.
        schedule (dict, optional): Arguments of ``HKDSchedule``, ``{}`` for the released ones;
            ``EpochScheduleHook`` sets the epoch. None: the losses' own temperatures.
        target_entropy (float, optional): Fit the positive temperature so that ``teacher_entropy``
            has this value, between 0 and 1; it replaces the temperature of schedule and loss. A
            running mean of its logarithm is saved in checkpoints.
        momentum (float): Of that running mean.
        resize_fused (bool): Resize the teacher's fused features bilinearly to the height and width
            of the student's where they differ, for instance because the teacher gets another
            resolution. Default: False, they are refused.
        sources (dict, optional): Names of modules of both networks whose outputs are the features
            ``fused``, ``encoder`` (the last of several outputs counts) and ``decoder``.

    Raises:
        ConfigError: Nothing to distil, or settings out of range.
    """

    def __init__(
        self,
        loss_pnlad: dict | None = None,
        loss_fpd: dict | None = None,
        loss_dssd: dict | None = None,
        loss_dssd_decoder: dict | None = None,
        label_weight: float = 0.0,
        schedule: dict | None = None,
        target_entropy: float | None = None,
        momentum: float = 0.9,
        sources: dict | None = None,
        init_cfg: dict | None = None,
        resize_fused: bool = False,
    ) -> None:
        super().__init__(init_cfg)
        losses = dict(
            loss_pnlad=loss_pnlad,
            loss_fpd=loss_fpd,
            loss_dssd=loss_dssd,
            loss_dssd_decoder=loss_dssd_decoder,
        )
        self.losses = nn.ModuleDict(
            {name: MODELS.build(cfg) for name, cfg in losses.items() if cfg is not None}
        )
        if not self.losses:
            raise ConfigError(
                'HKDDistiller: every loss is None, so nothing is compared; give one '
                f'of {tuple(losses)}'
            )
        if target_entropy is not None and (loss_pnlad is None or not 0 < target_entropy < 1):
            raise ConfigError(
                f'HKDDistiller: target_entropy={target_entropy} needs loss_pnlad and '
                'a value between 0 (saturated) and 1 (flat)'
            )
        self.label_weight = label_weight
        # Similarities do not depend on the size, and logits are resized; fused features have to
        # agree.
        self.requirements = Requirements(
            student_targets=label_weight > 0,
            equal_size=not resize_fused and 'loss_fpd' in self.losses,
            size_remedy=' unless resize_fused=True is set',
        )
        self.schedule = None if schedule is None else HKDSchedule(**schedule)
        self.stage: HKDStage | None = None
        self.target_entropy = target_entropy
        self.momentum = momentum
        self.resize_fused = resize_fused
        self.sources = dict(sources or {})
        if target_entropy is not None:
            self.register_buffer('log_tau', torch.tensor(math.nan))

    def set_epoch(self, epoch: int) -> None:
        """Set the current epoch, counted from 0, and with it the weights of the student's maps."""
        if self.schedule is None:
            return
        self.stage = self.schedule(epoch)
        if self.stage.gt_weights is not None and self._students:
            head: Any = decode_head_of(self.student, 'student', 'HKDDistiller')
            head.level_weights = self.stage.gt_weights

    def prepare(self, student: BaseModel, teacher: BaseModel) -> Recorders:
        """See ``DenseDistiller.prepare``.

        Raises:
            ConfigError: Classes, levels or features do not pair up.
        """
        heads: list[Any] = [
            decode_head_of(model, side, 'HKDDistiller')
            for model, side in ((student, 'student'), (teacher, 'teacher'))
        ]
        channels = [head.out_channels for head in heads]
        if 'loss_pnlad' in self.losses and channels[0] != channels[1] and max(channels) > 2:
            raise ConfigError(
                f'HKDDistiller: logits need equal classes, the student has {channels[0]} output '
                f'channels, the teacher {channels[1]}; train both on the same classes'
            )
        if self.schedule is not None:
            weights = self.schedule(0).gt_weights
            own = vars(heads[0]).get('level_weights')
            if weights is not None and (own is None or len(own) != len(weights)):
                raise ConfigError(
                    f'HKDDistiller: the schedule weighs {len(weights)} maps of the student, whose '
                    f'{type(heads[0]).__name__} has '
                    f'{"no level_weights" if own is None else f"{len(own)}"}; set '
                    'schedule.gt_weights=None'
                )
        ours = self._recorders_of(student, heads[0], 'student')
        if self.label_weight:
            ours['loss'] = MethodRecorder(heads[0], 'loss_by_feat')
        return Recorders(ours, self._recorders_of(teacher, heads[1], 'teacher'))

    def _recorders_of(self, model: BaseModel, head: nn.Module, side: str) -> dict[str, Recorder]:
        found: dict[str, Recorder] = dict(logits=MethodRecorder(head, 'forward'))
        for kind, loss in READERS.items():
            names = self._names(kind, head) if loss in self.losses else ()
            modules = {}
            for name in names:
                module = submodule(model, name)
                if module is None:
                    raise ConfigError(
                        f"HKDDistiller: {loss} reads '{name}', which the {side}, a "
                        f'{type(model).__name__}, does not have; name its modules in sources.'
                        f'{kind} or leave {loss} out'
                    )
                modules[name] = module
            found[kind] = ForwardRecorder(
                {name: (module, 'output') for name, module in modules.items()}
            )
        return found

    def _names(self, kind: str, head: nn.Module) -> Sequence[str]:
        if kind in self.sources:
            return self.sources[kind]
        if kind != 'fused':
            return _ENCODERS if kind == 'encoder' else _DECODERS
        levels = len(head.fusions) if isinstance(head, HKDHead) else 4
        return [f'decode_head.fusions.{level}' for level in range(levels)]

    @staticmethod
    def _outputs(record: Record) -> HKDOutputs:
        def features(calls: Mapping[str, list], last: bool = False) -> list:
            outputs = [_as_list(found[-1]) for found in calls.values()]
            return [feat for output in outputs for feat in (output[-1:] if last else output)]

        return HKDOutputs(
            logits=_as_list(record['logits'][-1]) if record['logits'] else [],
            fused=features(record['fused']),
            encoder=features(record['encoder'], last=True),
            decoder=features(record['decoder']),
        )

    def compute_losses(self, student: Record, teacher: Record) -> Losses:
        """See ``DenseDistiller.compute_losses``.

        Raises:
            ConfigError: There is a schedule but no epoch was set, or shapes do not pair up.
        """
        if self.schedule is not None and self.stage is None:
            raise ConfigError(
                'HKDDistiller: schedule is set, but no epoch was set; add '
                "dict(type='mmkd_sod.EpochScheduleHook') to custom_hooks"
            )
        losses = self.terms(self._outputs(student), self._outputs(teacher))
        if self.label_weight:
            if not student['loss']:
                raise ConfigError(
                    'HKDDistiller: label_weight needs a decode head that uses loss_by_feat; set '
                    'label_weight=0'
                )
            own = sum(value for key, value in student['loss'][-1].items() if 'loss' in key)
            losses['loss_label'] = self.label_weight * own
        return losses

    def terms(self, student: HKDOutputs, teacher: HKDOutputs) -> Losses:
        """Compute the losses of given outputs at the current stage.

        Args:
            student (HKDOutputs): Of the student.
            teacher (HKDOutputs): Of the teacher.

        Returns:
            dict: Terms by name.
        """
        stage, losses = self.stage, {}
        if 'loss_pnlad' in self.losses:
            losses.update(self._logits_terms(student.logits, teacher.logits))
        if 'loss_fpd' in self.losses:
            fused = teacher.fused
            if self.resize_fused and len(fused) == len(student.fused):
                fused = [
                    resize_like(t, s.shape[2:]) for s, t in zip(student.fused, fused, strict=True)
                ]
            losses['loss_fpd'] = self.losses['loss_fpd'](
                student.fused, fused, stage and stage.tau_feat
            )
        if 'loss_dssd' in self.losses:
            losses['loss_dssd'] = self.losses['loss_dssd'](student.encoder, teacher.encoder)
        if 'loss_dssd_decoder' in self.losses:
            if stage is None or stage.decoder_similarity:
                losses['loss_dssd_decoder'] = self.losses['loss_dssd_decoder'](
                    student.decoder, teacher.decoder
                )
            else:
                losses['loss_dssd_decoder'] = student.decoder[0].new_zeros(())
        return losses

    def _logits_terms(self, student: list, teacher: list) -> Losses:
        loss: Any = self.losses['loss_pnlad']
        stage = self.stage
        if len(student) != len(teacher):
            teacher = teacher[:1] * len(student)
        if student[0].shape[1] != teacher[0].shape[1]:
            # One model has one output channel ("salient"), the other two.
            student, teacher = saliency_logits(student), saliency_logits(teacher)
        student = [resize_like(s, t.shape[2:]) for s, t in zip(student, teacher, strict=True)]
        tau = stage.tau_pos if stage else loss.tau_pos
        if self.target_entropy is not None:
            tau = self._fitted(teacher[0], self.target_entropy)
        negative = loss.tau_neg if stage is None else stage.tau_neg
        return dict(
            loss_pos=loss.positive(student, teacher, tau),
            loss_neg=(
                student[0].new_zeros(())
                if negative is None
                else loss.negative(student, teacher, negative)
            ),
            teacher_entropy=map_entropy(teacher[0], tau),
            tau_pos=tau if isinstance(tau, Tensor) else teacher[0].new_full((), tau),
        )

    @torch.no_grad()
    def _fitted(self, logits: Tensor, target_entropy: float) -> Tensor:
        """Return the temperature of the target entropy, as a running mean over steps."""
        fitted = fit_temperature(logits, target_entropy, all_ranks=True).log().to(self.log_tau)
        blended = self.momentum * self.log_tau + (1 - self.momentum) * fitted
        self.log_tau.copy_(torch.where(self.log_tau.isnan(), fitted, blended))
        return self.log_tau.exp()
