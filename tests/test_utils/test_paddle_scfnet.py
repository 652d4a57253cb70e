"""Released SCFNet weights give the released network's outputs."""

import importlib.util
import pickle
import sys

import numpy as np
import pytest
import torch
from mmengine.runner import load_checkpoint

from mmkd_sod.cli.common import run_tool
from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils.checkpoint import check_fits
from mmkd_sod.utils.paddle_scfnet import convert_scfnet
from tests.conftest import ROOT, golden_files
from tests.parity.scfnet import logits, network

spec = importlib.util.spec_from_file_location(
    'paddle_scfnet_tool', ROOT / 'tools/model_converters/paddle_scfnet.py'
)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


def paddle_names(state):
    """Return the released names of weights by inverting the key map."""
    to_decoder = {f'decode_head.lateral_convs.{i}.': f'mp.cv{i + 1}.' for i in range(4)}
    to_decoder |= {
        f'decode_head.fusions.{i}.{part}_conv.': f'de{i + 1}.cv{j + 1}.'
        for i in range(3)
        for j, part in enumerate(('high', 'low', 'out'))
    }
    to_decoder |= {f'decode_head.conv_side.{i}.': f'linear{i + 3}.' for i in range(3)}
    to_decoder |= {'decode_head.context_conv.': 'cv1.', 'decode_head.conv_seg.': 'linear2.'}
    out = {}
    for key, value in state.items():
        if key.endswith('num_batches_tracked'):
            continue
        for ours, theirs in to_decoder.items():
            if key.startswith(ours):
                key = theirs + key[len(ours) :].replace('conv.', '0.').replace('bn.', '1.')
        key = key.replace('backbone.', 'bkbone.').replace('depthwise_conv', 'bottleneck_conv')
        key = key.replace('.se.', '.mid_se.').replace('running_mean', '_mean')
        out[key.replace('running_var', '_variance')] = value.numpy()
    return out


def test_names_are_inverted():
    state = network().state_dict()
    converted = convert_scfnet(paddle_names(state))
    assert converted.keys() == {k for k in state if not k.endswith('num_batches_tracked')}
    assert all(torch.equal(value, state[key]) for key, value in converted.items())


def test_backbone_of_imagenet():
    backbone = network().backbone
    arrays = {
        k.removeprefix('bkbone.'): v
        for k, v in paddle_names(
            {f'backbone.{k}': v for k, v in backbone.state_dict().items()}
        ).items()
    }
    arrays['fc.weight'] = arrays['last_conv.weight'] = np.zeros((2, 2))
    check_fits(backbone, convert_scfnet(arrays), 'a.pdparams', 'the backbone')


def test_resnet_names_pass():
    converted = convert_scfnet({'bkbone.layer1.0.bn1._mean': np.zeros(4, np.float32)})
    assert list(converted) == ['backbone.layer1.0.bn1.running_mean']


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda a: a.update({'head.w': np.zeros(1)}), "'head.w', which SCFNet does not have"),
        (lambda a: a.pop('linear2.weight'), r'decode_head.conv_seg.weight is missing in the file'),
        (
            lambda a: a.update({'linear2.weight': np.zeros((1, 64, 3, 3), np.float32)}),
            r'conv_seg.weight is \(1, 64, 3, 3\) in the file and \(1, 16, 3, 3\)',
        ),
    ],
)
def test_refuses(change, words):
    model = network()
    arrays = paddle_names(model.state_dict())
    change(arrays)
    with pytest.raises(CheckpointError, match=words):
        check_fits(model, convert_scfnet(arrays), 'a.pdparams', 'SCFNet')


def test_tool_writes_once(tmp_path, capsys, monkeypatch):
    weights, out = tmp_path / 'a.pdparams', tmp_path / 'b' / 'a.pth'
    weights.write_bytes(pickle.dumps(paddle_names(network().state_dict()), protocol=4))
    monkeypatch.setattr(sys, 'argv', ['paddle_scfnet.py', str(weights), str(out)])
    tool.main()
    assert '800,154 values' in capsys.readouterr().out
    load_checkpoint(network(), str(out), strict=True)
    before = out.read_bytes()
    with pytest.raises(SystemExit, match='2'):
        run_tool(tool.main)
    assert 'already exists' in capsys.readouterr().err and out.read_bytes() == before


@pytest.mark.golden
@pytest.mark.parametrize('path', golden_files('scfnet_*.pdparams'))
def test_golden_logits(path):
    for pair in logits(path):
        torch.testing.assert_close(pair.found, pair.wanted, rtol=0, atol=1e-4)
