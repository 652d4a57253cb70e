"""ShuntedTransformer: sizes, strides, names of the released weights, and bad files."""

import re

import pytest
import torch

from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.backbones import ShuntedTransformer, convert_shunted_keys
from mmkd_sod.registry import MODELS

TINY = dict(embed_dims=(8, 16, 16, 32), heads=(2, 2, 2, 2), mlp_ratios=(2, 2, 2, 2))


def released(state: dict) -> dict:
    """Return the names of the ImageNet release, independent of the implementation."""
    names = {}
    for key, value in state.items():
        key = re.sub(r'^stem\.convs\.', 'patch_embed1.conv.', key)
        key = re.sub(r'^stem\.patch\.norm', 'patch_embed1.norm', key)
        key = re.sub(
            r'^embeds\.(\d)\.projection', lambda m: f'patch_embed{int(m[1]) + 2}.proj', key
        )
        key = re.sub(r'^embeds\.(\d)\.norm', lambda m: f'patch_embed{int(m[1]) + 2}.norm', key)
        key = re.sub(r'^norms\.(\d)', lambda m: f'norm{int(m[1]) + 1}', key)
        last = key.startswith('stages.3.')
        key = re.sub(r'^stages\.(\d)', lambda m: f'block{int(m[1]) + 1}', key)
        for ours, theirs in (
            ('reduce.projection', 'sr'),
            ('reduce.norm', 'norm'),
            ('kv', 'kv'),
            ('local', 'local_conv'),
        ):
            number = '' if last else r'\1+'
            key = re.sub(rf'branches\.(\d)\.{ours}', theirs + number, key)
        key = re.sub(r'0\+', '1', re.sub(r'1\+', '2', key))
        names[key.replace('mlp.dwconv', 'mlp.dwconv.dwconv')] = value
    convs = sum(key.endswith('running_mean') for key in names if 'patch_embed1' in key)
    return {
        key.replace('stem.patch.projection', f'patch_embed1.conv.{3 * convs}'): value
        for key, value in names.items()
    }


@pytest.mark.parametrize('arch, millions', [('T', 11.04), ('S', 21.89), ('B', 39.10)])
def test_parameters(arch, millions):
    with torch.device('meta'):
        model = ShuntedTransformer(arch)
    number = sum(p.numel() for p in model.parameters())
    assert number / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(
    'size, grids',
    [
        ((224, 224), [(56, 56), (28, 28), (14, 14), (7, 7)]),
        ((320, 256), [(80, 64), (40, 32), (20, 16), (10, 8)]),
        ((75, 50), [(19, 13), (10, 7), (5, 4), (3, 2)]),
        ((32, 32), [(8, 8), (4, 4), (2, 2), (1, 1)]),
    ],
)
def test_any_size(size, grids):
    model = ShuntedTransformer('T', **TINY).eval()
    outs = model(torch.randn(1, 3, *size))
    assert [tuple(out.shape[1:]) for out in outs] == [
        (c, *grid) for c, grid in zip(TINY['embed_dims'], grids, strict=True)
    ]


def test_released_names_are_all_known():
    for arch in ('T', 'B'):
        with torch.device('meta'):
            own = ShuntedTransformer(arch).state_dict()
        theirs = released(own)
        for key in (
            'patch_embed1.conv.0.weight',
            'patch_embed4.proj.bias',
            'norm4.bias',
            'block1.0.attn.sr2.weight',
            'block3.1.attn.kv2.bias',
            'block2.1.attn.norm1.bias',
            'block4.0.attn.local_conv.weight',
            'block4.0.mlp.dwconv.dwconv.weight',
        ):
            assert key in theirs
        last = max(int(key.split('.')[2]) for key in theirs if key.startswith('patch_embed1.conv'))
        assert last == dict(T=3, B=9)[arch]
        theirs['head.weight'] = None
        assert {key: value.shape for key, value in convert_shunted_keys(theirs).items()} == {
            key: value.shape for key, value in own.items()
        }
        assert convert_shunted_keys(own).keys() == own.keys()


@pytest.mark.parametrize(
    'wrap', [lambda s: s, lambda s: dict(state_dict=s), lambda s: dict(model=s)]
)
def test_reads_a_released_file(tmp_path, wrap):
    source = ShuntedTransformer('T', **TINY)
    source.init_weights()
    torch.save(wrap(released(source.state_dict())), tmp_path / 'imagenet.pth')
    model = MODELS.build(
        dict(
            type='mmkd_sod.ShuntedTransformer',
            **TINY,
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'imagenet.pth')),
        )
    )
    model.init_weights()
    image = torch.randn(1, 3, 64, 64)
    for a, b in zip(source.eval()(image), model.eval()(image), strict=True):
        torch.testing.assert_close(a, b)


def test_the_message_names_a_file_that_does_not_fit(tmp_path):
    path = str(tmp_path / 'part.pth')
    state = ShuntedTransformer('T', **TINY).state_dict()
    del state['norms.3.weight']
    torch.save(state, path)
    model = ShuntedTransformer('T', **TINY, init_cfg=dict(type='Pretrained', checkpoint=path))
    with pytest.raises(CheckpointError, match=r'part\.pth does not fit .*1 weights are missing'):
        model.init_weights()
    absent = dict(type='Pretrained', checkpoint='nowhere.pth')
    with pytest.raises(CheckpointError, match="'nowhere.pth' does not exist"):
        ShuntedTransformer('T', **TINY, init_cfg=absent).init_weights()
    wide = ShuntedTransformer(
        'T',
        **{**TINY, 'embed_dims': (8, 16, 16, 64)},
        init_cfg=dict(type='Pretrained', checkpoint=path),
    )
    with pytest.raises(CheckpointError, match='have another shape'):
        wide.init_weights()


def test_layout_and_precision():
    model = ShuntedTransformer('T', **TINY).eval()
    model.init_weights()
    image = torch.randn(2, 3, 64, 64)
    expected = model(image)
    for out, want in zip(model(image.to(memory_format=torch.channels_last)), expected, strict=True):
        torch.testing.assert_close(out, want)
    with torch.autocast('cpu', torch.bfloat16):
        for out, want in zip(model(image), expected, strict=True):
            assert (out.float() - want).abs().mean() < 0.05
    for out, want in zip(model(image[:1]), expected, strict=True):
        torch.testing.assert_close(out, want[:1], rtol=1e-4, atol=1e-5)


def test_refusals():
    with pytest.raises(ConfigError, match="arch='L' is unknown"):
        ShuntedTransformer('L')
    with pytest.raises(ConfigError, match='3 heads and reduction 8 do not fit 64 channels'):
        ShuntedTransformer('T', heads=(3, 4, 8, 16))
