"""tools/train.py: trains, resumes, and tells mistakes in one sentence before the first step."""

import shutil
import signal
import time
from pathlib import Path

import mmdet
import pytest
import torch
from mmengine.device import get_device

from mmkd_sod.engine.run_results import last_scores, newest_checkpoint
from tests.runs import DEMO, RANDOM_TEACHER, TINY_DISTILL, TINY_STUDENT, command, on, tool

RECIPE = 'configs/crosskd/gfl_r50.py'


def distill(scenes, work_dir, *more, epochs=1, resume=()):
    tool(
        'train',
        DEMO.format('crosskd'),
        '--work-dir',
        work_dir,
        *resume,
        cfg_options=(*on(scenes, epochs), *TINY_DISTILL, *(more or RANDOM_TEACHER)),
    )


def refused(capsys, *args, cfg_options=()) -> str:
    with pytest.raises(SystemExit) as exit_info:
        tool('train', *args, cfg_options=cfg_options)
    assert exit_info.value.code == 2
    out = capsys.readouterr()
    assert 'Epoch(train)' not in out.out and 'Traceback' not in out.err
    sentence = out.err.strip().split('\n')[-1]
    assert sentence.startswith('train.py: error: ')
    return sentence


def test_teacher_then_student_then_resume(scenes, tmp_path):
    tool(
        'train',
        DEMO.format('teacher'),
        '--work-dir',
        tmp_path / 't',
        cfg_options=(*on(scenes), *TINY_STUDENT),
    )
    teacher = newest_checkpoint(tmp_path / 't')
    work = tmp_path / 'a run with ü'
    distill(scenes, work, f'model.teacher_ckpt={teacher}')
    first = torch.load(newest_checkpoint(work), weights_only=True)
    assert not any(key.startswith(('teacher', 'architecture')) for key in first['state_dict'])
    distill(scenes, work, f'model.teacher_ckpt={teacher}', epochs=2, resume=['--resume'])
    second = torch.load(newest_checkpoint(work), weights_only=True)
    assert (first['meta']['epoch'], second['meta']['epoch']) == (1, 2)
    assert second['meta']['iter'] == 2 * first['meta']['iter']
    assert 'coco/bbox_mAP' in last_scores(work)


def test_auto_scale_lr(scenes, tmp_path, capsys):
    tool(
        'train',
        DEMO.format('crosskd'),
        '--work-dir',
        tmp_path,
        '--auto-scale-lr',
        cfg_options=(
            *on(scenes),
            *TINY_DISTILL,
            *RANDOM_TEACHER,
            'train_dataloader.batch_size=4',
            'train_dataloader.dataset.indices=4',
        ),
    )
    out = capsys.readouterr()
    # Half the base batch size: the first step of the warm-up has half of 1e-3 x 0.1.
    assert 'lr: 5.0000e-05' in out.out + out.err


@pytest.mark.skipif(get_device() != 'cpu', reason='there is an accelerator')
def test_amp_needs_an_accelerator(capsys):
    sentence = refused(capsys, DEMO.format('student'), '--amp')
    assert '--amp' in sentence and 'leave it out' in sentence


def test_config_that_is_not_there(capsys):
    assert "config 'no.py' does not exist" in refused(capsys, 'no.py')


def test_data_that_is_not_there(capsys, tmp_path):
    sentence = refused(
        capsys,
        RECIPE,
        '--work-dir',
        tmp_path,
        cfg_options=[f'train_dataloader.dataset.data_root={tmp_path}/coco/'],
    )
    assert 'instances_train2017.json' in sentence and 'does not exist' in sentence


@pytest.mark.parametrize(
    'options, part',
    [
        (['model.teacher_ckpt=nowhere.pth'], "teacher_ckpt 'nowhere.pth' does not exist"),
        (['model.teacher_ckpt=None'], 'teacher_ckpt is None'),
        (['model.distiller.reused_teacher_head_idx=9'], 'reused_teacher_head_idx=9'),
        (
            [
                'model.teacher.bbox_head.feat_channels=32',
                'model.teacher.bbox_head.norm_cfg.num_groups=8',
            ],
            'needs equal tower channels, student 64, teacher 32',
        ),
        (['model.teacher.cfg_path=nowhere.py'], "teacher.cfg_path='nowhere.py' is not a config"),
    ],
)
def test_mistakes(scenes, capsys, tmp_path, options, part):
    sentence = refused(
        capsys,
        DEMO.format('crosskd'),
        '--work-dir',
        tmp_path,
        cfg_options=(*on(scenes), *TINY_DISTILL, *options),
    )
    assert part in sentence


def test_checkpoint_to_resume_from_must_exist(capsys):
    sentence = refused(capsys, DEMO.format('student'), '--resume', 'nowhere.pth')
    assert "--resume: checkpoint 'nowhere.pth' does not exist" in sentence


@pytest.mark.slow
@pytest.mark.parametrize('stop', [signal.SIGINT, signal.SIGKILL])
def test_stopped_runs_go_on(scenes, tmp_path, stop):
    options = (
        *on(scenes, 200),
        *TINY_DISTILL,
        *RANDOM_TEACHER,
        'train_cfg.val_interval=1000',
        'default_hooks.checkpoint.max_keep_ckpts=3',
    )
    args = ('tools/train.py', DEMO.format('crosskd'), '--work-dir', tmp_path)
    process = command(*args, cfg_options=options)
    deadline = time.monotonic() + 120
    while newest_checkpoint(tmp_path) is None and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1.3)
    process.send_signal(stop)
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    if stop == signal.SIGINT:
        assert 'interrupted' in out
    reached = int(newest_checkpoint(tmp_path).stem.split('_')[1])
    assert reached < 200
    options = (*options, f'train_cfg.max_epochs={reached + 1}')
    out, _ = command(*args, '--resume', cfg_options=options).communicate(timeout=120)
    assert f'resumed epoch: {reached}' in out
    assert newest_checkpoint(tmp_path).stem == f'epoch_{reached + 1}'


@pytest.mark.slow
def test_mmdets_own_train_py_needs_nothing_but_custom_imports(scenes, tmp_path):
    script = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'
    classes = "('disk','square','triangle','star','ring','cross')"
    options = [
        *on(scenes),
        *RANDOM_TEACHER,
        'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0',
        'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0',
        'val_dataloader.persistent_workers=False',
        'train_dataloader.dataset.indices=4',
        'train_dataloader.dataset.ann_file=annotations/train.json',
        'train_dataloader.dataset.data_prefix.img=train/images/',
        'val_dataloader.dataset.ann_file=annotations/val.json',
        'val_dataloader.dataset.data_prefix.img=val/images/',
        'model.architecture.backbone.init_cfg=None',
        'model.architecture.bbox_head.num_classes=6',
        'model.teacher.bbox_head.num_classes=6',
    ]
    options += [
        f'{loader}_dataloader.dataset.metainfo.classes={classes}' for loader in ('train', 'val')
    ]
    local = tmp_path / 'elsewhere'
    shutil.copytree('configs', local / 'configs')
    out, _ = command(
        script, local / RECIPE, '--work-dir', tmp_path / 'w', cfg_options=options
    ).communicate(timeout=400)
    assert 'distill.loss_cls_kd' in out, out[-3000:]
    assert newest_checkpoint(tmp_path / 'w') is not None
