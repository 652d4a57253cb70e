"""The benchmark on a GPU: a dry run on the CPU, and with a GPU its sections as checks."""

import json

import pytest
import torch

gpu = pytest.mark.gpu
# Relative differences between a GPU and the CPU of losses, gradients and outputs; TF32 keeps 10
# bits of a factor.
TOLERANCES = {'off': (1e-3, 2e-2, 1e-3), 'on': (5e-2, 3e-1, 5e-2)}


@pytest.mark.parametrize(
    'sections', [['nccl', 'golden'], pytest.param(None, marks=pytest.mark.slow)]
)
def test_dry_run(bench, tmp_path, capsys, sections):
    module, out = bench('gpu'), tmp_path / 'gpu.json'
    arguments = ['--device', 'cpu', '--tiny', '--out', str(out), '--minutes', '60']
    assert module.main([*arguments, *(['--sections', *sections] if sections else [])]) == 0
    content = json.loads(out.read_text())
    assert list(content['sections']) == (sections or list(module.SECTIONS))
    assert all(section['found'] for section in content['sections'].values())
    assert '== nccl, ' in capsys.readouterr().out


def test_a_section_that_fails_stops_no_other(bench, monkeypatch, tmp_path):
    module, out = bench('gpu'), tmp_path / 'gpu.json'

    def fail(device, tiny):
        raise RuntimeError('no memory left')

    monkeypatch.setattr(module, 'SECTIONS', dict(a=fail, b=lambda *_: dict(x=dict(y=1))))
    arguments = ['--device', 'cpu', '--tiny', '--out', str(out), '--sections']
    assert module.main([*arguments, 'a', 'b']) == 1
    sections = json.loads(out.read_text())['sections']
    assert sections['a']['error'] == 'RuntimeError: no memory left'
    assert sections['b']['found'] == dict(x=dict(y=1))
    assert module.main([*arguments, 'b', '--minutes', '-1']) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_without_a_gpu(bench, capsys):
    assert bench('gpu').main([]) == 2
    assert '--device cpu --tiny is a dry run' in capsys.readouterr().err


@gpu
def test_every_head_agrees_with_the_cpu(bench):
    for key, moved in bench('gpu_sections').heads('cuda', tiny=False).items():
        assert 'error' not in moved, (key, moved)
        limits = TOLERANCES[key.rsplit(' ', 1)[1]]
        for (quantity, value), limit in zip(moved.items(), limits, strict=True):
            assert value <= limit, (key, quantity, value)


@gpu
def test_golden_numbers(bench):
    for case, moved in bench('gpu_sections').golden('cuda', tiny=False).items():
        assert all(value <= 1e-3 for value in moved.values()), (case, moved)


@gpu
def test_half_precision_stays_finite(bench):
    for case, found in bench('gpu_sections').amp('cuda', tiny=False).items():
        assert found['finite'], (case, found)


@gpu
def test_no_synchronisation_of_ours(bench):
    for method, found in bench('gpu_sections').sync('cuda', tiny=False).items():
        assert found['distilled'] <= found.get('plain', 0), (method, found)


@gpu
def test_one_rank(bench):
    assert all(found['loss'] > 0 for found in bench('gpu_sections').nccl('cuda', False).values())


@gpu
@pytest.mark.parametrize('method', ['crosskd', 'cskd'])
def test_memory_stays_flat(bench, method):
    pairs, common = bench('pairs'), bench('common')
    step = common.training_step(
        pairs.PAIRS[method].distilled().to('cuda'), pairs.PAIRS[method].batch()
    )
    for _ in range(20):
        step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for _ in range(200):
        step()
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() <= before + 2**20


@gpu
@pytest.mark.parametrize('method', ['crosskd', 'hkd'])
def test_resumes(tmp_path, method):
    from tests.methods import runner

    for name, steps in (('whole', 4), ('part', 2), ('part', 4)):
        run = runner(method, tmp_path / name, steps=steps, resume=steps == 4 and name == 'part')
        run.train()
    whole, part = (
        torch.load(tmp_path / name / 'epoch_2.pth', weights_only=False, map_location='cpu')
        for name in ('whole', 'part')
    )
    for name, wanted in whole['state_dict'].items():
        torch.testing.assert_close(part['state_dict'][name], wanted, rtol=1e-3, atol=1e-4)
