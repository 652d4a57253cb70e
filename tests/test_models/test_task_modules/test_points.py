"""AutoAssign, FoveaBox and CenterNetUpdate."""

import pytest
import torch

from mmkd_sod.models.builder import build_model
from mmkd_sod.models.task_modules import DensePredictions, DenseTargets, PointReader, find_reader
from mmkd_sod.testing.small_detectors import small_detector
from tests.heads import built, record


def test_autoassign_divides_by_its_centre_priors():
    step = record('AutoAssignHead')
    total = sum(prior.sum() for prior, _ in step.records['center_prior'])
    torch.testing.assert_close(step.targets.avg_factor, total.detach())
    assert not step.targets.avg_factor.requires_grad
    assert record('AutoAssignHead', empty=(0, 1)).targets.avg_factor == 1


def test_fovea_divides_by_positives_and_images():
    step = record('FoveaHead')
    assert step.targets.avg_factor == step.targets.positive.sum() + 2
    labels, _ = step.records['get_targets'][0]
    loss = step.model.bbox_head.loss_cls(
        step.predictions.cls, labels, avg_factor=step.targets.avg_factor
    )
    torch.testing.assert_close(loss, step.losses['loss_cls'], rtol=1e-4, atol=1e-5)


def test_fovea_with_deform_runs_its_tail():
    built('FoveaHead')
    model = build_model(small_detector('FoveaHead', with_deform=True, deform_groups=1)).eval()
    reader = find_reader(model.bbox_head, 'student')
    assert reader.channels(1) == dict(cls_convs=128, reg_convs=32)
    with torch.no_grad():
        feats = model.extract_feat(torch.randn(2, 3, 128, 128))
        wanted = model.bbox_head(feats)
        streams = {tower: [] for tower in reader.towers}
        for tower, kept in streams.items():
            for feat, reg in zip(feats, wanted[1], strict=True):
                if tower == 'cls_convs':
                    feat = model.bbox_head.feature_adaption(feat, reg.exp())
                kept.append(getattr(model.bbox_head, tower)[0](feat))
        found = reader.run_tail(streams, 1)
    torch.testing.assert_close(reader.flatten(found).cls, reader.flatten(wanted).cls)


@pytest.mark.parametrize('empty', [(), (0, 1)])
def test_centernet_divides_by_its_centres(empty):
    step = record('CenterNetUpdateHead', empty=empty)
    rows, _ = step.records['add_cls_pos_inds'][0]
    count = 0 if rows is None else len(rows)
    assert step.targets.avg_factor == max(1, count)
    assert step.targets.positive.sum() == (0 if rows is None else len(rows.unique()))


def test_distances_below_zero_count_as_zero_and_can_come_back():
    reader = find_reader(built('FoveaHead').bbox_head, 'student')
    assert isinstance(reader, PointReader)
    targets = DenseTargets(None, 1.0, priors=torch.full((2, 2), 10.0))
    student = torch.tensor([[-3.0, 1.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]], requires_grad=True)
    boxes = reader.boxes(student, targets)
    assert boxes[0].tolist() == [10.0, 9.0, 12.0, 12.0]
    boxes.sum().backward()
    assert (student.grad != 0).all()
    # An empty box of the teacher has no effect.
    teacher = torch.tensor([[-3.0, 1.0, -2.0, 2.0], [2.0, 1.0, 1.0, 1.0]])
    predictions = [
        DensePredictions(torch.zeros(2, 3), reg, None, [(1, 2)])
        for reg in (student.detach(), teacher)
    ]
    pair = reader.compare_reg(*predictions, torch.ones(2), targets)
    assert pair.weight.tolist() == [0.0, 1.0]
