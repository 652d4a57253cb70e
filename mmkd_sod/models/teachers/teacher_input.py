"""The input of a teacher that does not get the student's input."""

from collections.abc import Sequence
from numbers import Real

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.data_preprocessors.normalisation import Renormalise, normalisation_of


class TeacherInput:
    """Make a teacher's batch from the student's.

    The image is the student's, resized, normalised as the teacher's preprocessor does it, or both;
    or it is another view. Both batches show the same image region at the same relative position,
    height and width, so that feature maps of the two correspond once they are resized to one size.

    Args:
        scale (float, optional): Resize the student's batch bilinearly by this factor.
        view (str, optional): Name under which ``mmkd_sod.TeacherView`` stored another view in
            each sample, such as the image at another resolution, or with its depth map. The
            teacher's own data preprocessor normalises it.
        normalise (bool): Convert the student's normalised pixels to the mean, std and channel order
            of the teacher's data preprocessor, for a teacher that was trained with others.

    Raises:
        ConfigError: ``view`` is given with another argument, none is given, or the factor is not
            positive.
    """

    def __init__(
        self, scale: float | None = None, view: str | None = None, normalise: bool = False
    ) -> None:
        if (scale is not None or normalise) == (view is not None):
            raise ConfigError(
                f'DenseDistill: teacher_input has scale={scale!r}, normalise={normalise!r} and '
                f'view={view!r}; give either view, or scale, normalise or both'
            )
        if scale is not None and (
            not isinstance(scale, Real) or isinstance(scale, bool) or not 0 < scale < float('inf')
        ):
            raise ConfigError(
                f'DenseDistill: teacher_input.scale={scale!r}; give a positive factor'
            )
        self.scale = scale
        self.view = view
        self.normalise = normalise
        self._renormalise: Renormalise | None = None

    def bind(self, student_preprocessor: nn.Module, teacher: BaseModel) -> None:
        """Read how the images of both sides are normalised.

        Raises:
            ConfigError: They cannot be converted.
        """
        if self.normalise:
            self._renormalise = Renormalise(
                normalisation_of(student_preprocessor), normalisation_of(teacher.data_preprocessor)
            )

    def __call__(
        self, inputs: Tensor, data_samples: list | None, teacher: BaseModel
    ) -> tuple[Tensor, list | None]:
        """Return the teacher's batch.

        Args:
            inputs (Tensor): The student's, (N, C, H, W), preprocessed.
            data_samples (list, optional): Its samples.
            teacher (BaseModel): The teacher.

        Returns:
            tuple: Inputs (N, C', H', W') and samples with the metadata of these sizes, without
            labels.

        Raises:
            DataError: A sample has no such view, or the ratio of view to image size differs within
                the batch.
        """
        if self.view is not None:
            return self._from_views(inputs, data_samples, teacher.data_preprocessor)
        if self._renormalise is not None:
            inputs = self._renormalise.to(inputs.device)(inputs)
        if self.scale is None:
            return inputs, data_samples
        size = [max(1, round(side * self.scale)) for side in inputs.shape[2:]]
        if size == list(inputs.shape[2:]):
            return inputs, data_samples
        resized = F.interpolate(
            inputs, size, mode='bilinear', align_corners=False, antialias=self.scale < 1
        )
        ratio = [new / old for new, old in zip(size, inputs.shape[2:], strict=True)]
        return resized, _rescaled(data_samples, ratio, size)

    def _from_views(
        self, inputs: Tensor, data_samples: list | None, preprocessor
    ) -> tuple[Tensor, list | None]:
        views = [sample.get(self.view) for sample in data_samples or [None]]
        if any(view is None for view in views):
            raise DataError(
                f"DenseDistill: teacher_input.view='{self.view}', but samples have no "
                f"such view; add mmkd_sod.TeacherView with name='{self.view}' at the "
                'end of the training pipeline'
            )
        preprocessor.to(inputs.device)
        images = [_normalised(view, preprocessor) for view in views]
        ours = [
            tuple(sample.metainfo.get('img_shape', inputs.shape[2:]))[:2]
            for sample in data_samples or ()
        ]
        theirs = [tuple(image.shape[1:]) for image in images]
        ratio = _common_ratio(ours, theirs)
        size = [
            max(round(side * r), *(shape[axis] for shape in theirs))
            for axis, (side, r) in enumerate(zip(inputs.shape[2:], ratio, strict=True))
        ]
        batch = inputs.new_zeros(len(images), images[0].shape[0], *size)
        for row, image in zip(batch, images, strict=True):
            row[:, : image.shape[1], : image.shape[2]] = image
        return batch, _rescaled(data_samples, ratio, size, theirs)


def _uploaded(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a GPU without waiting for it, from pinned memory."""
    if torch.device(device).type != 'cuda' or not tensor.is_cpu:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def _normalised(view: dict, preprocessor) -> Tensor:
    """Return one view as the teacher's preprocessor normalises it, without batch padding."""
    shape = view['img'].shape[1:]
    view = {name: _uploaded(tensor, preprocessor.device) for name, tensor in view.items()}
    inputs = (
        [view['img']] if view.keys() == {'img'} else {name: [one] for name, one in view.items()}
    )
    data = dict(
        inputs=inputs,
        data_samples=[
            BaseDataElement(metainfo=dict(img_shape=tuple(shape), ori_shape=tuple(shape)))
        ],
    )
    return preprocessor(data, training=False)['inputs'][0][:, : shape[0], : shape[1]]


def _common_ratio(ours: Sequence[tuple], theirs: Sequence[tuple]) -> list[float]:
    """Return the ratio of the teacher's image height and width to the student's."""
    ratio = [
        sum(shape[axis] for shape in theirs) / sum(shape[axis] for shape in ours) for axis in (0, 1)
    ]
    for mine, other in zip(ours, theirs, strict=True):
        # Resizing rounds to whole pixels.
        if any(abs(b - a * r) > max(1.0, r) for a, b, r in zip(mine, other, ratio, strict=True)):
            raise DataError(
                f"DenseDistill: the teacher's images are {list(theirs)}, the student's "
                f'{list(ours)} (height, width); all images of a batch need one ratio: resize by '
                'one factor inside TeacherView, without other geometric transforms'
            )
    return ratio


def _rescaled(
    data_samples: list | None,
    ratio: Sequence[float],
    size: Sequence[int],
    shapes: Sequence[tuple] | None = None,
) -> list | None:
    """Return samples with the metadata of the teacher's sizes, without labels."""
    if data_samples is None:
        return None
    rescaled = []
    for index, sample in enumerate(data_samples):
        meta = dict(sample.metainfo)
        if shapes is not None:
            meta['img_shape'] = shapes[index]
        elif 'img_shape' in meta:
            meta['img_shape'] = tuple(
                round(side * r) for side, r in zip(meta['img_shape'][:2], ratio, strict=True)
            )
        for key in ('batch_input_shape', 'pad_shape'):
            if key in meta:
                meta[key] = tuple(size)
        if meta.get('scale_factor') is not None:  # width, height
            meta['scale_factor'] = tuple(
                factor * r for factor, r in zip(meta['scale_factor'], ratio[::-1], strict=False)
            )
        rescaled.append(type(sample)(metainfo=meta))
    return rescaled


def equal_size(inputs: Tensor, teacher_inputs: Tensor) -> bool:
    """Return whether both batches have the same height and width."""
    return torch.Size(inputs.shape[2:]) == torch.Size(teacher_inputs.shape[2:])
