"""CrossKD beyond dense heads agrees with the authors' branches: losses, gradients, KD gradients."""

import pytest

from tests.conftest import golden_files
from tests.parity.kinds import compare

CASES = [
    case
    for kind in ('faster_rcnn', 'mask_rcnn', 'deformable_detr', 'yolo')
    for case in golden_files(f'crosskd_{kind}_*.json')
]
EXACT = {'losses': 1e-5, 'gradient norms': 1e-4, 'KD gradient norms': 1e-4, 'no KD gradient': 0}


@pytest.mark.golden
@pytest.mark.parametrize('path', CASES)
def test_exact(path):
    pairs = compare(path, teacher_exact=True)
    assert {pair.quantity for pair in pairs} == set(EXACT)
    assert not [pair for pair in pairs if not pair.difference <= EXACT[pair.quantity]]
    # With student queries also the gradients of detached targets, which are the default.
    pairs = compare(path, detached=True, teacher_exact=True)
    assert not [pair for pair in pairs if not pair.difference <= EXACT[pair.quantity]]
