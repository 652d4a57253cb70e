"""The normalisation of any preprocessor is read in one way."""

from mmdet.models import DetDataPreprocessor
from mmengine.model import BaseDataPreprocessor
from mmseg.models import SegDataPreProcessor

from mmkd_sod.models.data_preprocessors.normalisation import normalisation_of

NUMBERS = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0])


def test_of_mmdet_and_mmseg():
    for kind in (DetDataPreprocessor, SegDataPreProcessor):
        found = normalisation_of(kind(**NUMBERS, bgr_to_rgb=True))
        assert (found.mean, found.std, found.swap) == ((1, 2, 3), (4, 5, 6), True)
        assert not normalisation_of(kind(**NUMBERS)).swap


def test_of_one_that_does_not_normalise():
    found = normalisation_of(BaseDataPreprocessor())
    assert (found.mean, found.std, found.swap) == (None, None, False)
