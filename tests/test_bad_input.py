"""Whatever is wrong with a config or with data, a run ends well or says where the mistake is.

What is certain is one sentence. Other errors keep their traceback, with a hint below it.
"""

import copy
import json
import os
import random
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmkd_sod.engine.run_results import newest_checkpoint
from mmkd_sod.errors import UserError
from mmkd_sod.utils.checkpoint_files import is_complete
from tests.methods import METHODS, runner
from tests.runs import DEMO, RANDOM_TEACHER, TINY_DISTILL, on, tool
from tests.shown import end_of, shown

CASES_A_METHOD = 36
WRONG = ('x', None, -1, 0, 2.5, [], {}, [1, 2, 3], True, float('nan'), 10**9)


def _places(cfg, path=()):
    """Every key of a config, as a path."""
    for key, value in cfg.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from _places(value, (*path, key))


def mutations(method, seed):
    """A wrong config, and the words of which the sentence or the hint has to have one."""
    rng = random.Random(f'{method} {seed}')
    cfg = dict(
        type='mmkd_sod.DenseDistill',
        teacher_allow_missing=['*'],
        **copy.deepcopy(METHODS[method][2]()),
    )
    cfg = Config(cfg)._cfg_dict.to_dict()
    # Distillers, their losses and the arguments of DenseDistill; half of the cases each.
    ours = [('distiller',), *_places(cfg['distiller'], ('distiller',))]
    rest = [path for path in _places(cfg) if path[0] != 'distiller']
    path = rng.choice(ours if rng.random() < 0.6 else rest)
    inside = cfg
    for key in path[:-1]:
        inside = inside[key]
    words = [str(key) for key in path] + [str(inside.get('type')).split('.')[-1]]
    kind = rng.choice(['delete', 'rename', 'add', 'change', 'change', 'change'])
    key = path[-1]
    if kind == 'delete':
        del inside[key]
    elif kind == 'rename':
        inside[f'{key}_'] = inside.pop(key)
    elif kind == 'add':
        inside['no_such_setting'] = 1
        words.append('no_such_setting')
    else:
        inside[key] = rng.choice(WRONG)
        words.append(repr(inside[key]))
    return cfg, words, f'{kind} {".".join(map(str, path))} {inside.get(key)!r}'


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(CASES_A_METHOD))
@pytest.mark.parametrize('method', METHODS)
def test_wrong_model_configs(tmp_path, method, seed):
    cfg, words, what = mutations(method, seed)
    init_default_scope(METHODS[method][0])
    end = shown(lambda: runner(method, tmp_path, steps=1, model=cfg).train())
    if end is None:
        assert is_complete(newest_checkpoint(tmp_path)), what
    else:
        assert not end.startswith('mmkd_sod.errors.') or len(end) < 1200, what
        assert any(word in end for word in words), (what, end)


def sentence_of(capsys, run) -> str:
    """What the tool prints last for a mistake: one sentence, no traceback."""
    with pytest.raises(SystemExit) as exit_info:
        run()
    out = capsys.readouterr()
    assert exit_info.value.code == 2 and 'Traceback' not in out.err
    sentence = out.err.strip().split('\n')[-1]
    assert sentence.startswith('train.py: error: ')
    return sentence


def fault_of(run) -> str:
    """What Python prints last for any other error: type, message and hint."""
    with pytest.raises(Exception) as caught:
        run()
    assert not isinstance(caught.value, UserError)
    return end_of(caught.value)


def start(scenes, work_dir, *options):
    """Train on these scenes."""
    return lambda: tool(
        'train',
        DEMO.format('crosskd'),
        '--work-dir',
        work_dir,
        cfg_options=(*on(scenes), *TINY_DISTILL, *RANDOM_TEACHER, *options),
    )


# Setting, and a word of the sentence.
MISTAKES = (
    ('model.type=NoSuchModel', 'NoSuchModel'),
    ('model.distiller.type=NoSuchDistiller', 'NoSuchDistiller'),
    ('model.distiller.loss_cls_kd.type=mmkd_sod.NoSuchLoss', 'NoSuchLoss'),
    ('model.distiller.loss_cls_kd.bta=1.0', 'bta'),
    ('model.distiller.reused_teacher_head_idx=one', "reused_teacher_head_idx='one'"),
    ('model.distiller.reused_teacher_head_idx=-1', 'reused_teacher_head_idx=-1'),
    ('model.distiller.student_head_idx=1.5', 'student_head_idx=1.5'),
    ('model.distiller.class_mapping=5', 'class_mapping'),
    ('model.distiller.no_such=5', 'no_such'),
    ('model.architecture.cfg_path=no.py', "'no.py'"),
    ('model.architecture.bbox_head.num_classes=4', 'classes'),
    ('model.architecture.bbox_head.reg_max=8', 'reg_max'),
    ('model.architecture.bbox_head.loss_bbox.type=NoLoss', 'NoLoss'),
    ('model.architecture.backbone.no_such=19', 'no_such'),
    ('model.teacher.data_preprocessor.mean=[1,2,3]', 'mean'),
    ('model.teacher_autocast=fp8', 'fp8'),
    ('train_dataloader.dataset.type=NoData', 'NoData'),
    ('train_dataloader.dataset.ann_file=none.json', 'none.json'),
    ('train_dataloader.dataset.ann_file=x.pkl', 'pickle'),
    ('train_dataloader.dataset.data_prefix.img=nowhere', 'nowhere'),
    ('train_dataloader.dataset.indices=0', 'train_dataloader.dataset.indices'),
    ('train_dataloader.dataset.metainfo.classes=[a,b]', 'none of (a, b)'),
    ('train_dataloader.sampler.type=NoSampler', 'NoSampler'),
    ('optim_wrapper.optimizer.no_such=1', 'no_such'),
    ('train_cfg.type=NoLoop', 'NoLoop'),
    ('train_cfg.no_such=1', 'no_such'),
    ('val_evaluator.type=NoMetric', 'NoMetric'),
    ('default_hooks.checkpoint.type=NoHook', 'NoHook'),
    ('load_from=nowhere.pth', 'nowhere.pth'),
    ('model.teacher.bbox_head.anchor_generator.strides=[8,16,32,64]', 'strides'),
)
# Setting, a word of what is shown last, and the type of the error, whose traceback is kept.
FAULTS = (
    ('model.distiller.loss_cls_kd=7', 'loss_cls_kd', 'TypeError'),
    ('model.distiller.loss_cls_kd.beta=x', 'distiller.loss_cls_kd', 'TypeError'),
    ('model.architecture.bbox_head.num_classes=x', 'GFLHead', 'TypeError'),
    ('model.architecture.bbox_head.no_such=1', 'no_such', 'TypeError'),
    ('model.architecture.neck.in_channels=[4,8,16]', 'neck', 'AssertionError'),
    ('model.architecture.neck.in_channels=[4,8,16,33]', 'neck', 'RuntimeError'),
    ('model.architecture.neck.num_outs=2', 'GFL.neck > FPN', 'AssertionError'),
    ('model.architecture.backbone.depth=19', '19', 'KeyError'),
    ('model.architecture.data_preprocessor.mean=[1,2]', 'mean', 'AssertionError'),
    ('model.teacher_input=7', 'teacher_input', 'TypeError'),
    ('train_dataloader.batch_size=0', 'batch_size', 'ValueError'),
    ('train_dataloader.batch_size=x', 'batch_size', 'ValueError'),
    ('train_dataloader.num_workers=-1', 'num_workers', 'ValueError'),
    ('train_dataloader.no_such=1', 'no_such', 'TypeError'),
    ('train_dataloader.dataset.no_such=1', 'no_such', 'TypeError'),
    ('optim_wrapper.optimizer.type=NoOptimizer', 'optim_wrapper', 'TypeError'),
    ('optim_wrapper.optimizer.lr=-1.0', 'learning rate', 'ValueError'),
    ('optim_wrapper.type=AmpOptimWrapper', 'gpu', 'AssertionError'),
    ('param_scheduler=7', 'param_scheduler', 'TypeError'),
    ('train_cfg.max_epochs=x', 'train_cfg', 'ValueError'),
    ('val_evaluator.metric=no_such', 'no_such', 'KeyError'),
    ('default_hooks.checkpoint.no_such=1', 'no_such', 'TypeError'),
    ('custom_hooks=7', 'custom_hooks', 'TypeError'),
    ('custom_hooks=[7]', 'custom_hooks', 'TypeError'),
    ('log_level=LOUD', 'LOUD', 'KeyError'),
    ('randomness.seed=x', 'randomness', 'TypeError'),
    ('env_cfg.mp_cfg.mp_start_method=teleport', 'teleport', 'ValueError'),
)
# The run may end well.
HARMLESS = ('train_pipeline=7', 'resume=True', 'default_scope=nowhere')


@pytest.fixture
def train(scenes, tmp_path):
    """Run tools/train.py with one more setting."""

    def run(setting):
        tool(
            'train',
            DEMO.format('crosskd'),
            '--work-dir',
            tmp_path,
            cfg_options=(
                *on(scenes),
                *TINY_DISTILL,
                *RANDOM_TEACHER,
                'train_dataloader.dataset.indices=8',
                setting,
            ),
        )

    return run


@pytest.mark.slow
@pytest.mark.parametrize('setting, word', MISTAKES, ids=[setting for setting, _ in MISTAKES])
def test_mistakes_are_one_sentence(capsys, train, setting, word):
    assert word in sentence_of(capsys, lambda: train(setting))


@pytest.mark.slow
@pytest.mark.parametrize('setting, word, kind', FAULTS, ids=[setting for setting, *_ in FAULTS])
def test_other_errors_keep_their_traceback(train, setting, word, kind):
    end = fault_of(lambda: train(setting))
    # The whole traceback ends in them.
    assert end.startswith(kind) and word in end


@pytest.mark.slow
@pytest.mark.parametrize('setting', HARMLESS)
def test_settings_without_effect(train, setting, tmp_path):
    train(setting)
    assert is_complete(newest_checkpoint(tmp_path))


@pytest.fixture
def data(scenes, tmp_path):
    """A copy of the scenes that may be spoilt."""
    return shutil.copytree(scenes, tmp_path / 'data')


def annotations(data) -> dict:
    return json.loads((data / 'annotations/train.json').read_text())


def keep(data, found) -> None:
    (data / 'annotations/train.json').write_text(json.dumps(found))


def _cut(path):
    path.write_bytes(path.read_bytes()[:20])


BROKEN_FILES = {
    'empty': lambda path: path.write_bytes(b''),
    'cut': _cut,
    'text': lambda path: path.write_text('no such thing'),
    'zeros': lambda path: path.write_bytes(bytes(100)),
    'gone': lambda path: path.unlink(),
    'folder': lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('how', BROKEN_FILES)
def test_unreadable_images(capsys, data, tmp_path, how, workers):
    for path in (data / 'train/images').iterdir():
        BROKEN_FILES[how](path)
    sentence = sentence_of(
        capsys, start(data, tmp_path / 'w', f'train_dataloader.num_workers={workers}')
    )
    assert "error: image '" in sentence and 'train/images/' in sentence


@pytest.mark.slow
@pytest.mark.parametrize('how', BROKEN_FILES)
def test_unreadable_annotations(capsys, data, tmp_path, how):
    BROKEN_FILES[how](data / 'annotations/train.json')
    assert 'train.json' in sentence_of(capsys, start(data, tmp_path / 'w'))


def _no_key(key):
    def spoil(found):
        del found[key]

    return spoil


def _every(**values):
    def spoil(found):
        for annotation in found['annotations']:
            annotation.update(values)

    return spoil


# What is done to the annotations, and a word of the sentence; None: the run may end well.
SPOILT = {
    'no images': (_no_key('images'), 'images'),
    'no annotations': (_no_key('annotations'), 'annotations'),
    'no categories': (_no_key('categories'), 'categories'),
    'no image listed': (lambda found: found.update(images=[]), 'train.json'),
    'no object listed': (lambda found: found.update(annotations=[]), 'train.json'),
    'other classes': (
        lambda found: [
            category.update(name=category['name'].upper()) for category in found['categories']
        ],
        'DISK',
    ),
    'no box': (_every(bbox=[]), 'train.json'),
    'three numbers': (_every(bbox=[1, 2, 3]), 'train.json'),
    'words in boxes': (_every(bbox=['a', 'b', 'c', 'd']), 'train.json'),
    'boxes without area': (_every(bbox=[3, 3, 0, 0], area=0), None),
    'boxes outside': (_every(bbox=[9999, 9999, 10, 10]), None),
    'boxes below zero': (_every(bbox=[-5, -5, 10, 10]), None),
    'unknown category': (_every(category_id=999), 'train.json'),
    'unknown image': (_every(image_id=10**6), 'train.json'),
    'all crowds': (_every(iscrowd=1), None),
    'a list': (lambda found: None, None),
}


@pytest.mark.slow
@pytest.mark.parametrize('how', SPOILT)
def test_spoilt_annotations(capsys, data, tmp_path, how):
    spoil, word = SPOILT[how]
    found = annotations(data)
    spoil(found)
    keep(data, found)
    if word is not None:
        assert word in sentence_of(capsys, start(data, tmp_path / 'w'))
        return
    start(data, tmp_path / 'w')()
    assert is_complete(newest_checkpoint(tmp_path / 'w'))


def test_a_class_list_that_matches_nothing(capsys, scenes, tmp_path):
    sentence = sentence_of(
        capsys, start(scenes, tmp_path / 'w', 'train_dataloader.dataset.metainfo.classes=[cat,dog]')
    )
    assert 'none of (cat, dog)' in sentence and 'disk' in sentence
    assert 'train_dataloader.dataset.metainfo.classes' in sentence


@pytest.mark.slow
def test_images_without_objects_train(data, tmp_path):
    found = annotations(data)
    found['annotations'] = found['annotations'][:1]
    keep(data, found)
    start(data, tmp_path / 'w', 'train_dataloader.dataset.filter_cfg.filter_empty_gt=False')()
    state = torch.load(newest_checkpoint(tmp_path / 'w'), weights_only=True)['state_dict']
    assert all(value.isfinite().all() for value in state.values())


@pytest.mark.slow
def test_a_path_with_spaces_and_unicode(scenes, tmp_path):
    odd = shutil.copytree(scenes, tmp_path / 'Daten – übung 数据 (1)')
    work = tmp_path / 'Läufe und mehr'
    start(odd, work)()
    assert is_complete(newest_checkpoint(work))


def test_a_work_dir_that_cannot_be_written(capsys, scenes, tmp_path):
    (tmp_path / 'file').write_text('here')
    sentence = sentence_of(capsys, start(scenes, tmp_path / 'file' / 'run'))
    assert f"work_dir '{tmp_path}/file/run' cannot be written" in sentence
    assert (tmp_path / 'file').read_text() == 'here'


def test_a_full_disk(scenes, tmp_path, monkeypatch):
    sync = os.fsync

    def full(file):
        if '.pth' in os.readlink(f'/proc/self/fd/{file}'):
            raise OSError(28, 'No space left on device', str(tmp_path / 'epoch_1.pth'))
        sync(file)

    monkeypatch.setattr('mmkd_sod.utils.files.os.fsync', full)
    end = fault_of(start(scenes, tmp_path / 'w'))
    assert end.startswith('OSError: [Errno 28] No space left on device')
    assert 'epoch_1.pth' in end and 'raised by the hook CheckpointHook' in end
    assert not list((tmp_path / 'w').glob('*.pth'))


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_no_gpu_where_one_is_asked_for(capsys, launcher):
    assert f'--launcher {launcher}' in sentence_of(
        capsys, lambda: tool('train', DEMO.format('student'), '--launcher', launcher)
    )


@pytest.mark.parametrize(
    'text, word', [('model = dict(', 'line 1'), ("_base_ = ['no.py']", 'no.py'), ('\0', 'null')]
)
def test_files_that_are_no_config(capsys, tmp_path, text, word):
    (tmp_path / 'c.py').write_text(text)
    sentence = sentence_of(capsys, lambda: tool('train', tmp_path / 'c.py'))
    assert word in sentence and 'c.py' in sentence


def test_an_error_in_a_config_keeps_the_line_that_raised_it(tmp_path):
    (tmp_path / 'c.py').write_text('a = b')
    end = fault_of(lambda: tool('train', tmp_path / 'c.py'))
    assert end.startswith("NameError: name 'b' is not defined")
    assert f"Hint: while reading config '{tmp_path}/c.py'" in end


def test_options_that_do_not_fit_the_config(capsys):
    sentence = sentence_of(
        capsys,
        lambda: tool(
            'train', DEMO.format('student'), cfg_options=['train_cfg.max_epochs.no_such=1']
        ),
    )
    assert '--cfg-options do not fit' in sentence and 'max_epochs' in sentence


def test_there_are_two_hundred_cases():
    assert (
        len(METHODS) * CASES_A_METHOD
        + len(MISTAKES)
        + len(FAULTS)
        + 3 * len(BROKEN_FILES)
        + len(SPOILT)
    ) >= 200
