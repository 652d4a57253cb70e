"""Two processes with 4 images equal one with 8 under DistributedDataParallel."""

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.losses import ChannelSpatialKDLoss, CKALoss
from mmkd_sod.utils.gather import gather_batch

PROJECTIONS = ('resampled', 'fixed', 'learned')


class Step(nn.Module):
    """Student layer and losses in one module for DistributedDataParallel."""

    def __init__(self, projection, gather):
        super().__init__()
        self.student = nn.Conv2d(3, 16, 3, padding=1)
        self.loss = ChannelSpatialKDLoss(16, 24, projection=projection, gather=gather)
        self.cka = CKALoss(gather=gather)
        nn.init.constant_(self.loss.gamma_cam, 0.3)
        nn.init.constant_(self.loss.gamma_pam, 0.2)

    def forward(self, image, teacher):
        feat = self.student(image)
        losses = self.loss(feat, teacher)
        return losses['loss_cam'] + losses['loss_pam'] + 0.1 * self.cka(feat, teacher)


def run_step(projection, gather, rows, wrap):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    step = Step(projection, gather)
    image, teacher = torch.randn(8, 3, 11, 9), torch.randn(8, 24, 11, 9)
    model = DistributedDataParallel(step) if wrap else step
    loss = model(image[rows], teacher[rows])
    loss.backward()
    return loss.item(), {name: p.grad for name, p in step.named_parameters() if p.requires_grad}


def worker(rank, port, folder):
    os.environ.update(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    dist.init_process_group('gloo', rank=rank, world_size=2)
    rows = slice(4 * rank, 4 * rank + 4)
    found = {name: run_step(name, True, rows, True) for name in PROJECTIONS}
    try:
        gather_batch(torch.zeros(3 + rank, 2))
    except ConfigError as error:
        found['unequal'] = str(error)
    torch.save(found, folder / f'{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """Return the results of two gloo processes."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp('ranks')
    mp.spawn(worker, (port, folder), nprocs=2)
    return [torch.load(folder / f'{rank}.pth') for rank in range(2)]


@pytest.mark.parametrize('projection', PROJECTIONS)
def test_two_of_four_equal_one_of_eight(ranks, projection):
    loss, grads = run_step(projection, False, slice(None), False)
    for found in ranks:
        assert found[projection][0] == pytest.approx(loss, rel=1e-6)
        assert found[projection][1].keys() == grads.keys()
        for name, grad in grads.items():
            assert (found[projection][1][name] - grad).norm() <= 1e-5 * grad.norm(), name


def test_without_gather_they_differ(ranks):
    """Test that 4 images alone give another loss."""
    alone = run_step('fixed', False, slice(4), False)[0]
    assert abs(alone - ranks[0]['fixed'][0]) > 1e-3


def test_unequal_batches_are_refused_on_all_ranks(ranks):
    for found in ranks:
        assert '[(3, 2), (4, 2)]; all shapes must be equal' in found['unequal']


def test_one_process_keeps_its_tensor():
    feat = torch.randn(4, 2)
    assert gather_batch(feat) is feat
