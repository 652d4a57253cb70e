"""SODMetric: equal to PySODMetrics on the saved maps."""

import cv2
import numpy as np
import py_sod_metrics
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.evaluation import SODMetric
from mmkd_sod.evaluation.sod_metric import to_uint8
from mmkd_sod.registry import METRICS
from tests.sod_data import disc

NAMES = ('MAE', 'Smeasure', 'wFmeasure', 'maxFm', 'meanFm', 'adpFm', 'maxEm', 'meanEm', 'adpEm')


def sample(i, dataset='A', shape=(40, 50), two_channels=False):
    _, mask = disc(*shape, seed=i)
    logits = torch.from_numpy(mask / 64.0 - 2).float()[None] + torch.randn(1, *shape)
    maps = torch.cat([logits * 0, logits]) if two_channels else logits.sigmoid()
    out = SegDataSample(
        metainfo=dict(img_path=f'/d/{i}.jpg', img_name=f'x/{i}', dataset_name=dataset)
    )
    out.set_data(
        dict(
            seg_logits=PixelData(data=maps),
            gt_sem_seg=PixelData(data=torch.from_numpy(mask > 0).long()[None]),
        )
    )
    return out.to_dict(), mask


def directly(folder, masks):
    """Compute scores of saved maps with PySODMetrics."""
    metrics = dict(
        mae=py_sod_metrics.MAE(),
        sm=py_sod_metrics.Smeasure(),
        wfm=py_sod_metrics.WeightedFmeasure(),
        em=py_sod_metrics.Emeasure(),
        fm=py_sod_metrics.FmeasureV2(
            metric_handlers=dict(
                fm=py_sod_metrics.FmeasureHandler(beta=0.3, with_adaptive=True, with_dynamic=True)
            )
        ),
    )
    for i, mask in masks.items():
        pred = cv2.imread(str(folder / f'{i}.png'), cv2.IMREAD_GRAYSCALE)
        for metric in metrics.values():
            metric.step(pred=pred, gt=mask)
    fm, em = metrics['fm'].get_results()['fm'], metrics['em'].get_results()['em']
    return dict(
        MAE=metrics['mae'].get_results()['mae'],
        Smeasure=metrics['sm'].get_results()['sm'],
        wFmeasure=metrics['wfm'].get_results()['wfm'],
        maxFm=fm['dynamic'].max(),
        meanFm=fm['dynamic'].mean(),
        adpFm=fm['adaptive'],
        maxEm=em['curve'].max(),
        meanEm=em['curve'].mean(),
        adpEm=em['adp'],
    )


def test_equals_pysodmetrics_on_the_saved_maps(tmp_path):
    metric = METRICS.build(dict(type='mmkd_sod.SODMetric', out_dir=str(tmp_path)))
    masks = {}
    for i in range(6):
        one, mask = sample(i, shape=(40 + i, 50))
        masks[f'x/{i}'] = mask if i else np.zeros_like(mask)
        if not i:  # an image without salient pixels
            one['gt_sem_seg']['data'].zero_()
        metric.process({}, [one])
    scores, expected = metric.evaluate(6), directly(tmp_path / 'A', masks)
    assert set(scores) == {f'sod/{name}' for name in NAMES}
    for name in NAMES:
        assert scores[f'sod/{name}'] == pytest.approx(expected[name], abs=1e-6), name
        assert 0 <= scores[f'sod/{name}'] <= 1


def test_several_sets_in_one_run():
    one = {}
    for dataset in ('A', 'B'):
        metric = SODMetric()
        for i in range(2):
            metric.process({}, [sample(i + 10 * (dataset == 'B'), dataset)[0]])
        one[dataset] = metric.evaluate(2)
    both = SODMetric()
    torch.manual_seed(0)
    for dataset in ('A', 'B'):
        for i in range(2):
            torch.manual_seed(i)
            both.process({}, [sample(i + 10 * (dataset == 'B'), dataset)[0]])
    scores = both.evaluate(4)
    assert set(scores) == {f'sod/{s}{n}' for n in NAMES for s in ('', 'A/', 'B/')}
    assert scores['sod/MAE'] == pytest.approx((scores['sod/A/MAE'] + scores['sod/B/MAE']) / 2)


def test_two_channels_are_background_and_salient(tmp_path):
    torch.manual_seed(0)
    two = sample(0, two_channels=True)[0]
    torch.manual_seed(0)
    one = sample(0)[0]
    a, b = SODMetric(), SODMetric()
    a.process({}, [one])
    b.process({}, [two])
    assert a.evaluate(1) == b.evaluate(1)


def test_perfect_and_opposite_maps():
    good, bad = SODMetric(), SODMetric()
    one, mask = sample(0)
    one['seg_logits']['data'] = torch.from_numpy(mask / 255.0)[None]
    good.process({}, [one])
    one['seg_logits']['data'] = 1 - one['seg_logits']['data']
    bad.process({}, [one])
    good, bad = good.evaluate(1), bad.evaluate(1)
    assert good['sod/MAE'] == 0 and bad['sod/MAE'] == 1
    assert good['sod/maxFm'] == pytest.approx(1)
    assert good['sod/Smeasure'] == pytest.approx(1, abs=1e-3)


def test_rounding_to_grey_levels():
    values = torch.tensor([0.0, 0.5 / 255 - 1e-6, 0.5 / 255 + 1e-6, 0.5, 1.0, 1.5, -1.0])
    assert to_uint8(values).tolist() == [0, 0, 1, 128, 255, 255, 0]


def test_format_only_saves_without_masks(tmp_path):
    metric = SODMetric(out_dir=str(tmp_path), format_only=True)
    one = sample(0)[0]
    del one['gt_sem_seg']
    metric.process({}, [one])
    assert metric.evaluate(1) == {} and (tmp_path / 'A/x/0.png').exists()


def test_refuses():
    with pytest.raises(ConfigError, match='set out_dir'):
        SODMetric(format_only=True)
    one = sample(0)[0]
    one['gt_sem_seg']['data'] = one['gt_sem_seg']['data'][:, :10]
    with pytest.raises(DataError, match=r"'/d/0.jpg' is \(40, 50\), its mask \(10, 50\)"):
        SODMetric().process({}, [one])
    del one['gt_sem_seg']
    with pytest.raises(DataError, match="'/d/0.jpg' has no mask"):
        SODMetric().process({}, [one])


@pytest.mark.slow
def test_two_ranks_equal_one(tmp_path):
    torch.multiprocessing.spawn(_rank, args=(2, str(tmp_path)), nprocs=2)
    whole = SODMetric()
    for i in range(3):
        torch.manual_seed(i)
        whole.process({}, [sample(i)[0]])
    assert torch.load(tmp_path / 'scores.pth') == pytest.approx(whole.evaluate(3))


def _rank(rank, world, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world
    )
    metric = SODMetric()
    for i in (0, 2) if rank == 0 else (1, 0):  # one is repeated for equal numbers
        torch.manual_seed(i)
        metric.process({}, [sample(i)[0]])
    scores = metric.evaluate(3)
    if rank == 0:
        torch.save(scores, f'{folder}/scores.pth')
    torch.distributed.destroy_process_group()
