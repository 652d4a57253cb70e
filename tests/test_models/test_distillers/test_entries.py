"""The settings of an entry of CompositeDistiller."""

import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import entries
from mmkd_sod.models.distillers.entries import idle_loss, read_entry

PLAIN = dict(type='mmkd_sod.CSKDDistiller')


def test_a_plain_config_is_on_always():
    cfg, entry = read_entry(PLAIN, 0)
    assert cfg is PLAIN and entry.on and entry.factor == 1 and entry.name is None
    losses = dict(loss_a=torch.ones(1), other=torch.ones(1))
    weighed = entry.weigh(losses)
    assert weighed == losses and all(weighed[key] is losses[key] for key in losses)


def test_losses_are_weighed_and_named_and_the_rest_is_left():
    _, entry = read_entry(dict(distiller=PLAIN, name='cskd', weight=0.5), 0)
    found = entry.weigh(
        dict(loss_a=torch.tensor(2.0), loss_b=[torch.tensor(4.0)] * 2, entropy=torch.tensor(2.0))
    )
    assert list(found) == ['cskd.loss_a', 'cskd.loss_b', 'cskd.entropy']
    assert found['cskd.loss_a'] == 1 and found['cskd.loss_b'] == [2, 2]
    assert found['cskd.entropy'] == 2
    assert entry.logged == ('cskd.loss_a', 'cskd.loss_b')


@pytest.mark.parametrize('by_epoch', [True, False])
def test_follows_its_own_counter(by_epoch):
    _, entry = read_entry(dict(distiller=PLAIN, end=2, by_epoch=by_epoch), 0)
    assert entry.on  # until it is set: computing, and then raising, is better than silence
    with pytest.raises(ConfigError, match='no ' + ('epoch' if by_epoch else 'iteration')):
        entry.weigh(dict(loss=torch.ones(1)))
    entry.update(5, not by_epoch)
    assert entry.factor is None
    entry.update(1, by_epoch)
    assert entry.on
    entry.update(2, by_epoch)
    assert not entry.on


@pytest.mark.parametrize(
    'cfg, says',
    [
        ('CSKD', 'distillers.3. is'),
        (dict(weight=2.0), 'distillers.3. is'),
        (dict(distiller=PLAIN, stop=3), "setting 'stop'"),
        (dict(distiller=PLAIN, name='loss_x'), "name='loss_x'"),
        (dict(distiller=PLAIN, name='a.b'), "name='a.b'"),
        (dict(distiller=PLAIN, teacher=['a', 'a']), 'names a teacher twice'),
        (dict(distiller=PLAIN, weight=-1), 'weight=-1'),
    ],
)
def test_refuses(cfg, says):
    with pytest.raises(ConfigError, match=says):
        read_entry(cfg, 3)


def test_idle_loss_reaches_what_is_learned_under_ddp_alone(monkeypatch):
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    assert idle_loss(layer) == {}
    monkeypatch.setattr(entries, 'is_distributed', lambda: True)
    assert idle_loss(nn.ReLU()) == {}
    with torch.no_grad():
        layer.weight.fill_(torch.inf)
    loss = idle_loss(layer)['loss_idle']
    loss.backward()
    assert loss == 0 and torch.equal(layer.weight.grad, torch.zeros(2, 2))
    assert layer.bias.grad is None
