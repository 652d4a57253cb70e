"""HKDNet's distillation: logits, fused features and similarities within a batch."""
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.soft_signal import fit_temperature, map_entropy
from mmkd_sod.models.saliency import resize_like, saliency_logits
from mmkd_sod.registry import MODELS

from .base import DenseDistiller, Losses
from .hkd_schedule import HKDSchedule, HKDStage
from .recorders import ForwardRecorder, MethodRecorder
from .segmentors import decode_head_of

# Kind of feature -> the loss that reads it.
READERS = dict(fused='loss_fpd', encoder='loss_dssd', decoder='loss_dssd_decoder')


@dataclass
class HKDOutputs:
    """What one network gave in a step; empty where no loss reads it.

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
    """Hierarchical distillation of HKDNet (IEEE TSMC-S 2025); every part can be used alone.

    ====================  ==========================================================  ==============
    part                  what it compares                                            works for
    ====================  ==========================================================  ==============
    loss_pnlad            the maps that ``decode_head.forward`` returns               any segmentor
                                                                                      of mmseg
    loss_fpd              the four fused features                                     HKDNet, or
    loss_dssd             the deepest feature of each encoder                         what
    loss_dssd_decoder     the features of both decoder branches (first stage only)    ``sources``
                                                                                      names
    ====================  ==========================================================  ==============

    Logged are ``loss_pos``, ``loss_neg``, ``loss_fpd``, ``loss_dssd``, ``loss_dssd_decoder``,
    ``loss_label``, and, without being trained on, ``teacher_entropy``: how much soft signal the
    teacher's finest map holds at the positive term's temperature (1 flat, 0 saturated), and
    ``tau_pos``.

    Maps of student and teacher are compared level by level where both have as many, else every map
    of the student with the teacher's finest; the student's map is resized to the teacher's. One
    output channel and two (background, salient) go together.

    Args:
        loss_pnlad (dict, optional): :class:`PNLADLoss`; None leaves logits out.
        loss_fpd (dict, optional): :class:`FPDLoss` on fused features.
        loss_dssd (dict, optional): :class:`DSSDLoss` on deepest encoder features.
        loss_dssd_decoder (dict, optional): :class:`DSSDLoss` on decoder features.
        label_weight (float): Weight of the student's own decode loss mixed into the positive term;
            released: 0.0625, beside a ``pos_weight`` of 0.9375.
        schedule (dict, optional): Arguments of :class:`HKDSchedule`, ``{}`` for the released ones;
            :class:`EpochScheduleHook` tells the epoch. None: the losses' own temperatures.
        target_entropy (float, optional): Fit the positive temperature so that ``teacher_entropy``
            is this, between 0 and 1; it replaces the schedule's and the loss's. A running mean of
            its logarithm is kept in checkpoints.
        momentum (float): Of that running mean.
        resize_fused (bool): Bring the teacher's fused features to the height and width of the
            student's, bilinearly, where they differ, for instance because the teacher sees another
            resolution. Default: False, they are refused.
        sources (dict, optional): Names of modules of both networks whose outputs are the features
            ``fused``, ``encoder`` (the last of several outputs counts) and ``decoder``.

    Raises:
        ConfigError: Nothing to distil, or settings out of range.
    """

    def __init__(self,
                 loss_pnlad: dict | None = None,
                 loss_fpd: dict | None = None,
                 loss_dssd: dict | None = None,
                 loss_dssd_decoder: dict | None = None,
                 label_weight: float = 0.,
                 schedule: dict | None = None,
                 target_entropy: float | None = None,
                 momentum: float = .9,
                 sources: dict | None = None,
                 init_cfg: dict | None = None,
                 resize_fused: bool = False) -> None:
        super().__init__(init_cfg)
        losses = dict(loss_pnlad=loss_pnlad, loss_fpd=loss_fpd, loss_dssd=loss_dssd,
                      loss_dssd_decoder=loss_dssd_decoder)
        self.losses = nn.ModuleDict(
            {name: MODELS.build(cfg) for name, cfg in losses.items() if cfg is not None})
        if not self.losses:
            raise ConfigError(f'HKDDistiller has nothing to compare; give one of {tuple(losses)}')
        if target_entropy is not None and (loss_pnlad is None or not 0 < target_entropy < 1):
            raise ConfigError(f'HKDDistiller: target_entropy={target_entropy} needs loss_pnlad and '
                              'a value between 0 (saturated) and 1 (flat)')
        self.label_weight = label_weight
        self.needs_student_targets = label_weight > 0
        self.schedule = None if schedule is None else HKDSchedule(**schedule)
        self.stage: HKDStage | None = None
        self.target_entropy = target_entropy
        self.momentum = momentum
        self.resize_fused = resize_fused
        self.sources = dict(sources or {})
        if target_entropy is not None:
            self.register_buffer('log_tau', torch.tensor(math.nan))

    size_remedy = ' unless resize_fused=True is set'

    @property
    def any_teacher_size(self) -> bool:
        """Similarities know no size, and logits are resized: fused features alone have to agree."""
        return self.resize_fused or 'loss_fpd' not in self.losses

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch runs, counted from 0; also sets the weights of the student's maps."""
        if self.schedule is None:
            return
        self.stage = self.schedule(epoch)
        if self.stage.gt_weights is not None and self._models:
            head = decode_head_of(self.student, 'student', 'HKDDistiller')
            head.level_weights = self.stage.gt_weights

    def prepare(self, student: BaseModel, teacher: BaseModel) -> None:
        """Check the pair; choose what is recorded.

        Raises:
            ConfigError: Classes, levels or features do not pair up.
        """
        heads = [decode_head_of(model, side, 'HKDDistiller')
                 for model, side in ((student, 'student'), (teacher, 'teacher'))]
        channels = [head.out_channels for head in heads]
        if 'loss_pnlad' in self.losses and channels[0] != channels[1] and max(channels) > 2:
            raise ConfigError(
                f'HKDDistiller: logits need equal classes, the student has {channels[0]} output '
                f'channels, the teacher {channels[1]}; train both on the same classes')
        if self.schedule is not None:
            weights = self.schedule(0).gt_weights
            own = getattr(heads[0], 'level_weights', None)
            if weights is not None and (own is None or len(own) != len(weights)):
                raise ConfigError(
                    f'HKDDistiller: the schedule weighs {len(weights)} maps of the student, whose '
                    f'{type(heads[0]).__name__} has '
                    f'{"no level_weights" if own is None else f"{len(own)}"}; set '
                    'schedule.gt_weights=None')
        self.student_taps = self._taps(student, heads[0], 'student')
        self.teacher_taps = self._taps(teacher, heads[1], 'teacher')
        if self.label_weight:
            self.student_taps = (*self.student_taps, MethodRecorder(heads[0], 'loss_by_feat'))

    def _taps(self, model: BaseModel, head: nn.Module, side: str) -> tuple:
        modules = {}
        for kind, loss in READERS.items():
            for name in self._names(kind, head) if loss in self.losses else ():
                try:
                    modules[f'{kind}/{name}'] = (model.get_submodule(name), 'output')
                except AttributeError:
                    raise ConfigError(
                        f"HKDDistiller: {loss} reads '{name}', which the {side}, a "
                        f"{type(model).__name__}, does not have; name its modules in sources."
                        f'{kind} or leave {loss} out') from None
        return MethodRecorder(head, 'forward'), ForwardRecorder(modules)

    def _names(self, kind: str, head: nn.Module) -> Sequence[str]:
        if kind in self.sources:
            return self.sources[kind]
        if kind == 'encoder':
            return 'backbone.rgb', 'backbone.depth'
        if kind == 'decoder':
            return 'decode_head.decoders.rgb', 'decode_head.decoders.depth'
        return [f'decode_head.fusions.{level}' for level in range(len(getattr(
            head, 'fusions', ())) or 4)]

    def _outputs(self, taps: Sequence) -> HKDOutputs:
        maps, features = taps[:2]
        outputs = HKDOutputs(logits=_as_list(maps.data[-1]) if maps.data else [])
        for key, records in features.data.items():
            kind = key.split('/')[0]
            output = _as_list(records[-1])
            getattr(outputs, kind).extend(output[-1:] if kind == 'encoder' else output)
        return outputs

    def compute_distill_losses(self) -> Losses:
        """Losses of the step that the recorders saw.

        Raises:
            ConfigError: There is a schedule and nobody told the epoch, or shapes do not pair up.
        """
        if self.schedule is not None and self.stage is None:
            raise ConfigError('HKDDistiller has a schedule and was told no epoch; add '
                              "dict(type='mmkd_sod.EpochScheduleHook') to custom_hooks")
        losses = self.terms(self._outputs(self.student_taps), self._outputs(self.teacher_taps))
        if self.label_weight:
            recorded = self.student_taps[2].data
            if not recorded:
                raise ConfigError(
                    'HKDDistiller: label_weight needs a decode head that uses loss_by_feat; set '
                    'label_weight=0')
            own = sum(value for key, value in recorded[-1].items() if 'loss' in key)
            losses['loss_label'] = self.label_weight * own
        return losses

    def terms(self, student: HKDOutputs, teacher: HKDOutputs) -> Losses:
        """Losses of given outputs, at the current stage.

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
                fused = [resize_like(t, s.shape[2:])
                         for s, t in zip(student.fused, fused, strict=True)]
            losses['loss_fpd'] = self.losses['loss_fpd'](
                student.fused, fused, stage and stage.tau_feat)
        if 'loss_dssd' in self.losses:
            losses['loss_dssd'] = self.losses['loss_dssd'](student.encoder, teacher.encoder)
        if 'loss_dssd_decoder' in self.losses:
            if stage is None or stage.decoder_similarity:
                losses['loss_dssd_decoder'] = self.losses['loss_dssd_decoder'](
                    student.decoder, teacher.decoder)
            else:
                losses['loss_dssd_decoder'] = student.decoder[0].new_zeros(())
        return losses

    def _logits_terms(self, student: list, teacher: list) -> Losses:
        loss, stage = self.losses['loss_pnlad'], self.stage
        if len(student) != len(teacher):
            teacher = teacher[:1] * len(student)
        if student[0].shape[1] != teacher[0].shape[1]:
            # One of them says "salient" with one channel, the other with two.
            student, teacher = saliency_logits(student), saliency_logits(teacher)
        student = [resize_like(s, t.shape[2:]) for s, t in zip(student, teacher, strict=True)]
        tau = stage.tau_pos if stage else loss.tau_pos
        if self.target_entropy is not None:
            tau = self._fitted(teacher[0])
        negative = loss.tau_neg if stage is None else stage.tau_neg
        return dict(
            loss_pos=loss.positive(student, teacher, tau),
            loss_neg=(student[0].new_zeros(()) if negative is None else
                      loss.negative(student, teacher, negative)),
            teacher_entropy=map_entropy(teacher[0], tau),
            tau_pos=teacher[0].new_tensor(tau))

    @torch.no_grad()
    def _fitted(self, logits: Tensor) -> float:
        """The temperature that gives the wanted entropy, as a running mean over steps."""
        fitted = self.log_tau.new_tensor(
            math.log(fit_temperature(logits, self.target_entropy, all_ranks=True)))
        first = self.log_tau.isnan()
        momentum = 0. if first else self.momentum
        self.log_tau.copy_(fitted if first else
                           momentum * self.log_tau + (1 - momentum) * fitted)
        return math.exp(self.log_tau.item())
