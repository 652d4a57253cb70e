"""Every way to open a checkpoint, against every attack: refused or inert, nothing executed."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmkd_sod.__main__ import main
from mmkd_sod.errors import UserError
from tests.methods import build
from tests.outcomes import record
from tests.runs import DEMO, tool
from tests.shipments import tiny
from tests.test_compat.test_resumed_paths import scored
from tests.test_untrusted_files import MARK, Evil
from tests.work_dirs import work_dir

CODE = f"import os\nos.environ['{MARK}'] = '1'\ngpu_ids = range(3)\n"


class ObjectArray:
    """Builds an array of objects from bytes, which crashes the interpreter."""

    def __reduce__(self):
        return np.ndarray, ((1,), np.dtype('O'), b'\1' * 8)


def _runtime(checkpoint, **info):
    hub = checkpoint.setdefault('message_hub', {})
    hub.setdefault('log_scalars', {})
    hub.setdefault('runtime_info', {}).update(info)
    hub.setdefault('resumed_keys', {}).update(dict.fromkeys(info, True))


class Getattr:
    """Looks up an attribute of an allowed class, from which all others can be reached."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__subclasses__')


# What is put into a checkpoint that works, given the folder that must not change.
INERT = dict(
    config_text=lambda c, f: c.setdefault('meta', {}).update(config=CODE, cfg=CODE),
    hub_config=lambda c, f: _runtime(c, cfg=CODE),
    best_folder=lambda c, f: _runtime(c, best_ckpt=str(f), best_score=-1.0),
    best_file=lambda c, f: _runtime(c, best_ckpt=str(f / 'best_x.pth'), best_score=-1.0),
    best_named=lambda c, f: _runtime(c, best_ckpt_score=str(f), best_score_score=-1.0),
    rotation=lambda c, f: _runtime(c, keep_ckpt_ids=[f'{f}/epoch_1', f'../{f.name}/epoch_1']),
)
REFUSED = dict(
    reduce=lambda c, f: c.update(more=Evil()),
    object_array=lambda c, f: c.setdefault('meta', {}).update(more=ObjectArray()),
    getattr=lambda c, f: c.update(more=Getattr()),
)


def _resume(path, folder):
    """Resume in a run of its own folder, with validations that improve."""
    run = scored(folder / 'run', 4, resume=True)
    run.train()


def _load_from(path, folder, resume=False):
    run = scored(folder / 'other', 4, resume=resume)
    run._load_from = str(path)
    run.train()


def _base_run(folder):
    scored(folder / 'run', 2).train()
    return folder / 'run' / 'epoch_1.pth'


def _base_teacher(folder):
    model = build('crosskd')
    torch.save(dict(state_dict=model.teacher.state_dict()), folder / 'a.pth')
    return folder / 'a.pth'


def _base_saliency(folder):
    cfg, path = tiny('saliency', folder, None)
    cfg.dump(folder / 'net.py')
    return path


def _report(path, folder):
    cfg = Config.fromfile(folder / 'net.py')
    run = work_dir(
        folder / 'run', cfg.model, **{key: cfg[key] for key in ('default_scope', 'test_dataloader')}
    )
    os.replace(path, run / 'epoch_1.pth')
    main(['report', str(run), '--images', '1', '--out', str(folder / 'a.html'), '--device', 'cpu'])


# Door: how a valid checkpoint is made, and how the door opens it.
DOORS = {
    '--resume': (_base_run, _resume),
    'resume_from': (_base_run, lambda path, folder: _load_from(path, folder, resume=True)),
    'load_from': (_base_run, _load_from),
    'teacher_ckpt': (
        _base_teacher,
        lambda path, folder: build('crosskd', teacher_ckpt=str(path)).load_teacher(),
    ),
    'test.py': (
        _base_saliency,
        lambda path, folder: tool(
            'test',
            folder / 'net.py',
            path,
            '--work-dir',
            folder / 'w',
            cfg_options=[
                'test_dataloader.num_workers=0',
                'test_dataloader.persistent_workers=False',
            ],
        ),
    ),
    'export_student': (
        _base_saliency,
        lambda path, folder: tool(
            'export_student', folder / 'net.py', path, '--out-dir', folder / 'student'
        ),
    ),
    'ship': (
        _base_saliency,
        lambda path, folder: main(
            [
                'ship',
                str(folder / 'net.py'),
                str(path),
                '--out',
                str(folder / 'shipped'),
                '--cfg-options',
                'test_dataloader.num_workers=0',
                'test_dataloader.persistent_workers=False',
            ]
        ),
    ),
    'report': (_base_saliency, _report),
    'generate_weak_labels': (
        _base_saliency,
        lambda path, folder: tool(
            'generate_weak_labels',
            folder / 'net.py',
            path,
            '--out',
            folder / 'labels',
            '--images',
            folder / 'data' / 'image',
            '--side',
            64,
        ),
    ),
    'predict': (
        _base_saliency,
        lambda path, folder: tool(
            'predict',
            folder / 'net.py',
            path,
            folder / 'data' / 'image',
            '--out-dir',
            folder / 'predicted',
            '--side',
            64,
        ),
    ),
    'doctor': (
        _base_run,
        lambda path, folder: main(
            ['doctor', DEMO.format('student'), '--cfg-options', f'load_from={path}']
        ),
    ),
}


@pytest.fixture
def unharmed(tmp_path, monkeypatch):
    """A folder that must not change, while nothing may set the mark."""
    monkeypatch.delenv(MARK, raising=False)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    precious = tmp_path / 'precious'
    precious.mkdir()
    names = ('thesis.txt', 'best_x.pth', 'epoch_1.pth')
    for name in names:
        (precious / name).write_text(name)
    yield precious
    assert MARK not in os.environ
    assert {path.name: path.read_text() for path in precious.iterdir()} == {
        name: name for name in names
    }


def opened(door, attack, folder, victim, capsys) -> tuple[bool, str]:
    """Open an attacked checkpoint; return whether it went well, and all that was shown."""
    make, enter = DOORS[door]
    path = make(folder)
    checkpoint = torch.load(path, weights_only=True)
    attack(checkpoint, victim)
    torch.save(checkpoint, path)
    capsys.readouterr()
    try:
        enter(path, folder)
        text, well = '', True
    except UserError as error:
        text, well = str(error), False
    except SystemExit as error:
        # The doctor leaves with 1 where it finds something.
        text, well = '', error.code == 1 and door == 'doctor'
    shown = capsys.readouterr()
    return well, ' '.join((text + shown.out + shown.err).split())


@pytest.mark.parametrize('door', DOORS)
def test_all_inert_attacks_at_once(tmp_path, unharmed, capsys, door):
    def attack(checkpoint, victim):
        for change in INERT.values():
            change(checkpoint, victim)

    well, text = opened(door, attack, tmp_path, unharmed, capsys)
    assert well, text


def refused(door, attack, folder, victim, capsys) -> None:
    """Check that an attack is refused: the report and the doctor list it and go on."""
    well, text = opened(door, REFUSED[attack], folder, victim, capsys)
    assert well == (door in ('report', 'doctor')), text
    assert 'holds more than weights' in text or 'cannot be read' in text, text
    record('doors', door, {attack: 'refused, listed' if well else 'refused'})


@pytest.mark.parametrize('door', DOORS)
def test_code_is_refused(tmp_path, unharmed, capsys, door):
    refused(door, 'reduce', tmp_path, unharmed, capsys)


# What is often saved under the name of a checkpoint, and how it is named.
FOREIGN = {
    'web page (HTML)': b'<!DOCTYPE html><html><body>Sign in to download</body></html>',
    'Git LFS pointer': b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n',
}


# `--resume` and the report choose among complete checkpoints, so that they ignore such files.
@pytest.mark.parametrize(
    'door, kind',
    [
        pytest.param(door, kind, marks=() if (i + k) % 2 else (pytest.mark.slow,))
        for i, door in enumerate(name for name in DOORS if name not in ('--resume', 'report'))
        for k, kind in enumerate(FOREIGN)
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, unharmed, capsys, door, kind):
    make, enter = DOORS[door]
    path = make(tmp_path)
    Path(path).write_bytes(FOREIGN[kind])
    try:
        enter(path, tmp_path)
        text = ''
    except UserError as error:
        text = str(error)
    except SystemExit:
        text = ''
    shown = capsys.readouterr()
    assert kind in ' '.join((text + shown.out + shown.err).split())


@pytest.mark.slow
@pytest.mark.parametrize('attack', INERT)
@pytest.mark.parametrize('door', DOORS)
def test_each_inert_attack(tmp_path, unharmed, capsys, door, attack):
    well, text = opened(door, INERT[attack], tmp_path, unharmed, capsys)
    assert well, text
    record('doors', door, {attack: 'inert'})


@pytest.mark.slow
@pytest.mark.parametrize('attack', [name for name in REFUSED if name != 'reduce'])
@pytest.mark.parametrize('door', DOORS)
def test_each_other_attack_is_refused(tmp_path, unharmed, capsys, door, attack):
    refused(door, attack, tmp_path, unharmed, capsys)
