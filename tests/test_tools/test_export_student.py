"""tools/export_student.py and tools/test.py: a plain student that needs nothing of ours."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmkd_sod.engine.run_results import newest_checkpoint
from tests.runs import DEMO, RANDOM_TEACHER, ROOT, TINY_DISTILL, on, tool

# Importing mmkd_sod or mmrazor raises here; detections of a picture go to a file. mmcv-lite gets
# operators before that: without them it runs no detector.
ALONE = """
import json, sys
import mmkd_sod_autoload
mmkd_sod_autoload.offer()
import mmcv.ops
for name in [name for name in sys.modules if name.split('.')[0] == 'mmkd_sod']:
    del sys.modules[name]
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('mmkd_sod', 'mmrazor'):
            raise ImportError(name + ' is out of reach')
sys.meta_path.insert(0, Blocker())
from mmdet.apis import inference_detector, init_detector
model = init_detector(sys.argv[1], sys.argv[2], device='cpu')
found = inference_detector(model, sys.argv[3]).pred_instances
json.dump([found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist()],
          open(sys.argv[4], 'w'))
"""


@pytest.fixture(scope='module')
def run(scenes, tmp_path_factory):
    """One epoch of a tiny distillation: its options and checkpoint."""
    work = tmp_path_factory.mktemp('run')
    options = (*on(scenes), *TINY_DISTILL, *RANDOM_TEACHER)
    tool('train', DEMO.format('crosskd'), '--work-dir', work, cfg_options=options)
    return options, newest_checkpoint(work)


def export(run, out, *args):
    options, checkpoint = run
    tool(
        'export_student',
        DEMO.format('crosskd'),
        checkpoint,
        '--out-dir',
        out,
        *args,
        cfg_options=options,
    )
    return out / 'scenes_gfl_crosskd.py', out / 'scenes_gfl_crosskd.pth'


def test_student_detects_alike_without_us(run, scenes, tmp_path, monkeypatch):
    from mmdet.apis import inference_detector
    from mmengine.registry import init_default_scope

    from mmkd_sod.registry import MODELS

    config, weights = export(run, tmp_path)
    cfg = Config.fromfile(config)
    assert cfg.model.type == 'GFL' and 'mmkd_sod' not in config.read_text()
    content = torch.load(weights, weights_only=True)
    assert set(content) == {'meta', 'state_dict'}
    assert len(content['meta']['dataset_meta']['classes']) == 6

    picture = next((scenes / 'val' / 'images').iterdir())
    answer = tmp_path / 'answer.json'
    subprocess.run(
        [
            sys.executable,
            '-W',
            'ignore',
            '-c',
            ALONE,
            str(config),
            str(weights),
            str(picture),
            str(answer),
        ],
        check=True,
        cwd=tmp_path,
        env=dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)),
    )
    bboxes, scores, labels = (torch.tensor(part) for part in json.loads(answer.read_text()))

    # The same picture through the distillation itself, before the export.
    monkeypatch.chdir(ROOT)
    _, checkpoint = run
    whole = Config.fromfile(DEMO.format('crosskd'))
    init_default_scope('mmdet')
    whole.model.teacher_allow_missing = ['*']
    for part in ('architecture', 'teacher'):
        whole.model[part].backbone = dict(base_channels=4)
        whole.model[part].neck = dict(in_channels=[4, 8, 16, 32])
        whole.model[part].test_cfg = dict(score_thr=0.0)
    model = MODELS.build(whole.model)
    model.load_state_dict(torch.load(checkpoint, weights_only=True)['state_dict'])
    model.cfg = cfg
    found = inference_detector(model.eval(), str(picture)).pred_instances
    assert len(found.bboxes) == len(bboxes) > 0
    torch.testing.assert_close(found.bboxes, bboxes, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found.scores, scores, rtol=1e-5, atol=1e-5)
    assert torch.equal(found.labels, labels)


def test_nothing_is_overwritten(run, tmp_path, capsys):
    config, weights = export(run, tmp_path)
    weights.write_bytes(b'mine')
    with pytest.raises(SystemExit):
        export(run, tmp_path)
    assert 'already exists' in capsys.readouterr().err
    assert weights.read_bytes() == b'mine'
    config.unlink()  # Still not what a killed export leaves.
    with pytest.raises(SystemExit):
        export(run, tmp_path)
    assert weights.read_bytes() == b'mine'
    export(run, tmp_path, '--force')
    assert len(weights.read_bytes()) > 1000


def test_an_export_that_was_killed_between_its_files_is_finished_without_force(run, tmp_path):
    config, weights = export(run, tmp_path)
    before, exported = config.read_text(), weights.read_bytes()
    config.unlink()
    assert export(run, tmp_path) == (config, weights)
    assert config.read_text() == before
    kept, written = (
        torch.load(io.BytesIO(content), weights_only=True)['state_dict']
        for content in (exported, weights.read_bytes())
    )
    assert kept.keys() == written.keys()
    assert all(torch.equal(value, kept[name]) for name, value in written.items())


def test_checkpoint_of_another_student(run, tmp_path, capsys):
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.zeros(1)}), other)
    with pytest.raises(SystemExit):
        tool('export_student', DEMO.format('crosskd'), other, cfg_options=run[0])
    assert 'does not fit the student' in capsys.readouterr().err
    assert not (tmp_path / 'student').exists()


def test_test_py_needs_no_teacher(run, tmp_path, capsys):
    options, checkpoint = run
    gone = [o for o in options if 'teacher_ckpt' not in o] + ['model.teacher_ckpt=nowhere.pth']
    tool(
        'test',
        DEMO.format('crosskd'),
        checkpoint,
        '--work-dir',
        tmp_path,
        '--out',
        tmp_path / 'out.pkl',
        '--show-dir',
        'painted',
        cfg_options=gone,
    )
    out = capsys.readouterr()
    assert 'coco/bbox_mAP' in out.out + out.err
    assert (tmp_path / 'out.pkl').is_file()
    assert list(Path(tmp_path).rglob('painted/*'))


def test_test_py_tells_mistakes(run, capsys):
    for args, part in (
        (['nowhere.pth'], "checkpoint 'nowhere.pth' does not exist"),
        ([run[1], '--out', 'a.txt'], 'must end in .pkl'),
    ):
        with pytest.raises(SystemExit):
            tool('test', DEMO.format('crosskd'), *args, cfg_options=run[0])
        assert part in capsys.readouterr().err


def test_test_py_tells_mistakes_of_the_config(run, tmp_path, capsys):
    options, checkpoint = run
    with pytest.raises(SystemExit) as info:
        tool(
            'test',
            DEMO.format('crosskd'),
            checkpoint,
            '--work-dir',
            tmp_path,
            cfg_options=(*options, 'test_evaluator.type=NoSuchMetric'),
        )
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert info.value.code == 2 and 'NoSuchMetric' in sentence


def test_test_py_keeps_the_error_of_a_transform(run, tmp_path):
    options, checkpoint = run
    with pytest.raises(Exception, match='x') as info:
        tool(
            'test',
            DEMO.format('crosskd'),
            checkpoint,
            '--work-dir',
            tmp_path,
            cfg_options=(*options, 'test_dataloader.dataset.pipeline.1.scale=x'),
        )
    assert not isinstance(info.value, SystemExit)
