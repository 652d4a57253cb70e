"""What an entry of CompositeDistiller says."""
import pytest
import torch
from torch import nn

from mmkd_sod.errors import ConfigError
from mmkd_sod.models.distillers import parts
from mmkd_sod.models.distillers.parts import idle_loss, read_part

PLAIN = dict(type='mmkd_sod.CSKDDistiller')


def test_a_plain_config_is_on_always():
    cfg, part = read_part(PLAIN, 0)
    assert cfg is PLAIN and part.on and part.factor == 1 and part.name is None
    losses = dict(loss_a=torch.ones(1), other=torch.ones(1))
    weighed = part.weigh(losses)
    assert weighed == losses and all(weighed[key] is losses[key] for key in losses)


def test_losses_are_weighed_and_named_and_the_rest_is_left():
    _, part = read_part(dict(distiller=PLAIN, name='cskd', weight=.5), 0)
    found = part.weigh(dict(loss_a=torch.tensor(2.), loss_b=[torch.tensor(4.)] * 2,
                            entropy=torch.tensor(2.)))
    assert list(found) == ['cskd.loss_a', 'cskd.loss_b', 'cskd.entropy']
    assert found['cskd.loss_a'] == 1 and found['cskd.loss_b'] == [2, 2]
    assert found['cskd.entropy'] == 2
    assert part.logged == ('cskd.loss_a', 'cskd.loss_b')


@pytest.mark.parametrize('by_epoch', [True, False])
def test_told_by_its_own_clock(by_epoch):
    _, part = read_part(dict(distiller=PLAIN, end=2, by_epoch=by_epoch), 0)
    assert part.on  # nobody told: computing, and then saying so, is better than silence
    with pytest.raises(ConfigError, match='told no ' + ('epoch' if by_epoch else 'iteration')):
        part.weigh(dict(loss=torch.ones(1)))
    part.tell(5, not by_epoch)
    assert part.factor is None
    part.tell(1, by_epoch)
    assert part.on
    part.tell(2, by_epoch)
    assert not part.on


@pytest.mark.parametrize('entry, says', [
    ('CSKD', 'distillers.3. is'), (dict(weight=2.), 'distillers.3. is'),
    (dict(distiller=PLAIN, stop=3), "setting 'stop'"),
    (dict(distiller=PLAIN, name='loss_x'), "name='loss_x'"),
    (dict(distiller=PLAIN, name='a.b'), "name='a.b'"),
    (dict(distiller=PLAIN, teacher=['a', 'a']), 'names one twice'),
    (dict(distiller=PLAIN, weight=-1), 'weight=-1')])
def test_refuses(entry, says):
    with pytest.raises(ConfigError, match=says):
        read_part(entry, 3)


def test_idle_loss_reaches_what_is_learned_under_ddp_alone(monkeypatch):
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    assert idle_loss(layer) == {}
    monkeypatch.setattr(parts, 'is_distributed', lambda: True)
    assert idle_loss(nn.ReLU()) == {}
    with torch.no_grad():
        layer.weight.fill_(torch.inf)
    loss = idle_loss(layer)['loss_idle']
    loss.backward()
    assert loss == 0 and torch.equal(layer.weight.grad, torch.zeros(2, 2))
    assert layer.bias.grad is None
