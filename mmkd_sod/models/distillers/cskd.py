"""CSKD: channel and position attention of the last feature, and the logits."""

from typing import Any

import torch
from mmengine.model import BaseModel
from mmseg.models.utils import resize as interpolate
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses.cka import full_precision
from mmkd_sod.models.recorders import ForwardRecorder, Record, Recorder
from mmkd_sod.models.valid_region import Fractions, cut_padding, record_fractions, valid_sizes
from mmkd_sod.registry import MODELS

from .base import DenseDistiller, Losses, Recorders, Requirements
from .segmentors import find_classifier

_CHANNELS = ('student_channels', 'teacher_channels')


@MODELS.register_module()
class CSKDDistiller(DenseDistiller):
    """CSKD for any segmentors of mmseg whose last layer is a convolution.

    The feature is the input of the classifier's convolution, after the student's dropout; the
    logits are its output. Total in the paper: task loss + 3 CWD(logits) + 0.3 L_CAM + 0.8 L_PAM,
    which are the default weights. Source: CSKD (Pattern Recognition Letters 180, 2024).

    Losses: ``loss_cwd``, ``loss_cam`` and ``loss_pam``, scalars.

    Args:
        loss_logits (dict, optional): Loss of the logits, ``(student, teacher)``; it gets contiguous
            float32 maps of equal size and a detached teacher. Default: mmrazor's
            ``ChannelWiseDivergence`` with tau 2 and weight 3. None: logits are not compared.
        loss_feat (dict, optional): Loss of the features, ``(student, teacher)``, a dict of terms.
            Default: ``ChannelSpatialKDLoss`` as in the paper, which compares the images of a
            batch: use at least 3 per GPU, or ``gather=True`` in it. ``student_channels`` and
            ``teacher_channels`` are read from the two networks. None: features are not compared.
        student_classifier (str, optional): Name of the student's classifier, for heads that do not
            call it ``conv_seg``. Default: that of the decode head, the last of a cascade.
        teacher_classifier (str, optional): The same for the teacher.
        resize (str, optional): Which side is resized bilinearly to the other's height and width
            where they differ: ``'student'`` or ``'teacher'``. Default: None, maps of different
            size are refused.
        mask_padding (bool): Leave the padding of a batch out of the comparison: the loss of the
            logits is the mean over images of the loss on their own region, features are 0 outside
            of it. Exact for the logits and for L_CAM; the blocks of L_PAM are those of the largest
            image, and padding inside of them is compared as zeros. Default: False, padding counts
            as in the released code.
        init_cfg (dict, optional): mmengine's initialisation config.

    Raises:
        ConfigError: Nothing to distil, or, in ``prepare``, classifiers that are not found or
            classes and channels that do not agree.
    """

    def __init__(
        self,
        loss_logits: dict | None = dict(  # noqa: B006
            type='mmrazor.ChannelWiseDivergence', tau=2.0, loss_weight=3.0
        ),
        loss_feat: dict | None = dict(  # noqa: B006
            type='mmkd_sod.ChannelSpatialKDLoss'
        ),
        student_classifier: str | None = None,
        teacher_classifier: str | None = None,
        resize: str | None = None,
        init_cfg: dict | None = None,
        mask_padding: bool = False,
    ) -> None:
        super().__init__(init_cfg)
        if loss_logits is None and loss_feat is None:
            raise ConfigError(
                'CSKDDistiller: loss_logits and loss_feat are both None, so nothing '
                'is compared; give one of them'
            )
        if resize not in (None, 'student', 'teacher'):
            raise ConfigError(
                f'CSKDDistiller: resize={resize!r} must name the side that is '
                "resized to the other's size; use 'student', 'teacher' or None"
            )
        self.requirements = Requirements(
            student_loss=loss_logits is None,
            equal_size=resize is None,
            size_remedy=" unless resize='teacher' is set",
        )
        self.loss_logits: Any = None if loss_logits is None else MODELS.build(loss_logits)
        self.loss_feat: nn.Module | None = None
        self._feat_cfg = None if loss_feat is None else dict(loss_feat)
        # Built in prepare(), when the channels are known; a wrong name is refused at once.
        kind = loss_feat and loss_feat.get('type')
        if isinstance(kind, str) and MODELS.get(kind) is None:
            raise ConfigError(
                f'CSKDDistiller: loss_feat.type={kind!r} is no registered loss; use '
                "'mmkd_sod.ChannelSpatialKDLoss', or import the module that has it"
            )
        self.student_classifier = student_classifier
        self.teacher_classifier = teacher_classifier
        self.resize = resize
        self.mask_padding = mask_padding

    def prepare(self, student: BaseModel, teacher: BaseModel) -> Recorders:
        """Find both classifiers and build the feature loss for their channels.

        Raises:
            ConfigError: A classifier is not found, or classes or channels do not agree.
        """
        owner = 'CSKDDistiller'
        convs: list[Any] = [
            find_classifier(student, 'student', owner, self.student_classifier),
            find_classifier(teacher, 'teacher', owner, self.teacher_classifier),
        ]
        if self.loss_logits is not None and convs[0].out_channels != convs[1].out_channels:
            raise ConfigError(
                'CSKDDistiller: logits need equal classes, the student has '
                f'{convs[0].out_channels} output channels, the teacher {convs[1].out_channels}; '
                'train both on the same classes, or set loss_logits=None'
            )
        if self._feat_cfg is not None:
            if self._feat_cfg.get('sum_terms'):
                raise ConfigError(
                    'CSKDDistiller: loss_feat.sum_terms=True, but it logs both terms;'
                    " leave sum_terms out, it is for mmrazor's ConfigurableDistiller"
                )
            self._build_feat_loss(self._feat_cfg, [conv.in_channels for conv in convs])
        ours, theirs = (
            dict[str, Recorder](
                classifier=ForwardRecorder({'feat': (conv, 'input'), 'logits': (conv, 'output')})
            )
            for conv in convs
        )
        if self.mask_padding:
            ours['fractions'] = record_fractions(student)
        return Recorders(ours, theirs)

    def _build_feat_loss(self, cfg: dict, found: list[int]) -> None:
        channels = dict(zip(_CHANNELS, found, strict=True))
        for name, number in channels.items():
            if cfg.get(name, number) != number:
                raise ConfigError(
                    f'CSKDDistiller: loss_feat.{name}={cfg[name]}, but the feature that '
                    f'enters the classifier has {number} channels; leave {name} out'
                )
        # A plain and a distilled student of one seed start from the same weights.
        with torch.random.fork_rng(devices=[]):
            self.loss_feat = MODELS.build({**cfg, **channels})

    @staticmethod
    def _last_call(record: Record, side: str) -> dict[str, Tensor]:
        """The classifier's input ``feat`` and output ``logits``."""
        last = {name: calls[-1] for name, calls in record['classifier'].items() if calls}
        if not last:
            raise ConfigError(
                f"CSKDDistiller: the {side}'s classifier was not run in its forward pass; name the "
                f'one that returns the logits in {side}_classifier'
            )
        if last['feat'].dim() != 4:
            raise ConfigError(
                f"CSKDDistiller: the input of the {side}'s classifier has shape "
                f'{tuple(last["feat"].shape)}, expected (N, C, H, W); name another module in '
                f'{side}_classifier'
            )
        return last

    def _equal_size(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        sizes = tuple(student.shape[2:]), tuple(teacher.shape[2:])
        if sizes[0] == sizes[1]:
            return student, teacher
        if self.resize is None:
            raise ConfigError(
                f'CSKDDistiller: the maps of the student are {sizes[0]}, those of the teacher '
                f"{sizes[1]}; set resize='student' or 'teacher', the side to resize"
            )
        options = dict(mode='bilinear', align_corners=False)
        if self.resize == 'student':
            return interpolate(student, size=sizes[1], **options), teacher
        return student, interpolate(teacher, size=sizes[0], **options)

    def compute_losses(self, student: Record, teacher: Record) -> Losses:
        """See ``DenseDistiller.compute_losses``.

        Raises:
            ConfigError: A classifier was not run, or maps differ in size without ``resize``.
        """
        ours, theirs = self._last_call(student, 'student'), self._last_call(teacher, 'teacher')
        losses: Losses = {}
        fractions = student['fractions'][-1] if self.mask_padding else None
        if self.loss_logits is not None:
            pair = self._equal_size(ours['logits'], theirs['logits'])
            losses['loss_cwd'] = (
                self.logits_loss(*pair) if fractions is None else self._per_image(fractions, *pair)
            )
        if self.loss_feat is not None:
            pair = self._equal_size(ours['feat'], theirs['feat'])
            if fractions is not None:
                pair = cut_padding(fractions, pair[0]), cut_padding(fractions, pair[1].detach())
            losses.update(self.loss_feat(*pair))
        return losses

    def _per_image(self, fractions: Fractions, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean of the images' losses of the logits, each without its padding."""
        sizes = valid_sizes(fractions, student.shape[2:])
        parts = [
            self.logits_loss(s[None, :, :height, :width], t[None, :, :height, :width])
            for s, t, (height, width) in zip(student, teacher, sizes, strict=True)
        ]
        return torch.stack(parts).mean()

    def logits_loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss of the logits on contiguous float32 maps and a detached teacher.

        mmrazor's ``ChannelWiseDivergence`` on its own fails on channels_last maps, passes gradient
        into the teacher, and sums in half precision.

        Args:
            student (Tensor): (N, classes, H, W).
            teacher (Tensor): The same shape.

        Returns:
            Tensor: A scalar.
        """
        return self.loss_logits(
            full_precision(student).contiguous(), full_precision(teacher.detach()).contiguous()
        )
