"""Files from elsewhere: whoever reads one, nothing in it runs, and nothing is written elsewhere."""

import os
import pickle
import warnings

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint

from mmkd_sod.apis.saliency_sources import find_sources
from mmkd_sod.compat.http_checkpoints import load_from_http
from mmkd_sod.datasets.rgbd_cosod_dataset import RGBDCoSODDataset
from mmkd_sod.datasets.sod_dataset import SODDataset, UnlabelledImageDataset
from mmkd_sod.datasets.voc import read_split
from mmkd_sod.engine.checks import check_data
from mmkd_sod.errors import UserError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.models.student import student_checkpoint
from mmkd_sod.utils.array_pickle import load_array_pickle
from mmkd_sod.utils.checkpoint import read_checkpoint
from mmkd_sod.utils.downloads import cached_path
from mmkd_sod.utils.weak_labels import label_path, read_key
from tests.methods import build, runner
from tests.runs import tool
from tests.saliency import save_network
from tests.sod_data import write_set

MARK = 'MMKD_SOD_TEST_RAN'


class Evil:
    """Sets an environment variable when it is unpickled freely."""

    def __reduce__(self):
        return exec, (f"import os; os.environ['{MARK}'] = '1'",)


def train_from(path, folder, **options):
    run = runner('crosskd', folder / 'work', steps=2, **options)
    run._load_from = str(path)
    run.train()


def build_with_pretrained(path, folder):
    model = ROOT_MODELS.build(
        dict(
            type='mmseg.ResNetV1c', depth=18, init_cfg=dict(type='Pretrained', checkpoint=str(path))
        )
    )
    model.init_weights()


def inferencer(path, folder):
    config, _ = save_network(folder)
    SaliencyInferencer(config, str(path), 'cpu', 64)


def config(folder):
    return save_network(folder)[0]


# Everything that opens a checkpoint; each gets the file and an empty folder.
CHECKPOINT_READERS = dict(
    read_checkpoint=lambda path, folder: read_checkpoint(str(path)),
    student_checkpoint=lambda path, folder: student_checkpoint(str(path)),
    teacher_ckpt=lambda path, folder: build(
        'crosskd', teacher_ckpt=str(path), teacher_allow_missing=[]
    ).load_teacher(),
    load_from=train_from,
    resume=lambda path, folder: train_from(path, folder, resume=True),
    init_cfg=build_with_pretrained,
    mmengine=lambda path, folder: load_checkpoint(torch.nn.Linear(1, 1), str(path)),
    loader=lambda path, folder: CheckpointLoader.load_checkpoint(str(path)),
    inferencer=inferencer,
    export_student=lambda path, folder: tool('export_student', config(folder), path),
    export_onnx=lambda path, folder: tool('export_onnx', config(folder), path, folder / 'a.onnx'),
    predict=lambda path, folder: tool(
        'predict',
        config(folder),
        path,
        write_set(folder / 'set') / 'image',
        '--out-dir',
        folder / 'out',
    ),
    generate_weak_labels=lambda path, folder: tool(
        'generate_weak_labels',
        config(folder),
        path,
        '--images',
        write_set(folder / 'set') / 'image',
        '--out',
        folder / 'out',
    ),
)


@pytest.fixture
def unharmed(monkeypatch):
    monkeypatch.delenv(MARK, raising=False)
    # The variable that switches torch's safe loader off where nobody asks for it by name.
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    yield
    assert MARK not in os.environ


def evil_file(path, legacy=False):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.save(
            dict(state_dict=dict(a=torch.ones(1)), meta=Evil()),
            path,
            _use_new_zipfile_serialization=not legacy,
        )
    return path


def sentence_of(call, capsys) -> str:
    """The one sentence of a refusal, from a tool or from Python."""
    try:
        call()
    except UserError as error:
        return str(error)
    except SystemExit as error:
        assert error.code == 2
        out = capsys.readouterr().err
        assert 'Traceback' not in out
        return out.strip().split('\n')[-1]
    raise AssertionError('it was taken')


def test_the_bait_works(tmp_path, monkeypatch):
    monkeypatch.delenv(MARK, raising=False)
    torch.load(evil_file(tmp_path / 'a.pth'), weights_only=False)
    assert os.environ.pop(MARK) == '1'


@pytest.mark.parametrize('name', CHECKPOINT_READERS)
def test_checkpoints_run_nothing(tmp_path, unharmed, capsys, name):
    path = evil_file(tmp_path / 'evil.pth')
    (tmp_path / 'room').mkdir()
    sentence = sentence_of(lambda: CHECKPOINT_READERS[name](path, tmp_path / 'room'), capsys)
    assert 'evil.pth' in sentence and 'holds more than weights and was not loaded' in sentence


@pytest.mark.parametrize('name', ['read_checkpoint', 'resume', 'loader'])
def test_old_formats_and_plain_pickles_run_nothing(tmp_path, unharmed, capsys, name):
    (tmp_path / 'plain.pth').write_bytes(pickle.dumps(Evil(), protocol=2))
    for path in (evil_file(tmp_path / 'old.pth', legacy=True), tmp_path / 'plain.pth'):
        sentence = sentence_of(lambda path=path: CHECKPOINT_READERS[name](path, tmp_path), capsys)
        assert path.name in sentence


@pytest.mark.parametrize('name', ['read_checkpoint', 'load_from', 'resume', 'init_cfg'])
def test_half_checkpoints_are_told(tmp_path, capsys, name):
    path = tmp_path / 'half.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(1000))), path)
    os.truncate(path, path.stat().st_size // 2)
    sentence = sentence_of(lambda: CHECKPOINT_READERS[name](path, tmp_path), capsys)
    assert "half.pth' cannot be read" in sentence


def test_downloads_run_nothing(tmp_path, unharmed, monkeypatch):
    address = 'https://a.b/evil.pth'
    evil_file(cached_path(address, tmp_path))
    from mmengine.runner import checkpoint

    assert checkpoint.load_from_http is load_from_http
    with pytest.raises(UserError, match='holds more than weights'):
        load_from_http(address, model_dir=str(tmp_path))


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_paddle_weights_run_nothing(tmp_path, unharmed, capsys, protocol):
    path = tmp_path / 'evil.pdparams'
    path.write_bytes(pickle.dumps(dict(a=np.ones(2), b=Evil()), protocol))
    for call in (
        lambda: load_array_pickle(path),
        lambda: tool('model_converters/paddle_scfnet', path, tmp_path / 'a.pth'),
    ):
        assert 'no code in them is executed' in sentence_of(call, capsys)
    assert not (tmp_path / 'a.pth').exists()


def test_caches_and_lists_run_nothing(tmp_path, unharmed, capsys):
    evil = pickle.dumps(Evil())
    (tmp_path / 'labels.json').write_bytes(evil)
    assert 'cannot be read' in sentence_of(lambda: read_key(tmp_path), capsys)
    write_set(tmp_path / 'set')
    (tmp_path / 'set' / 'list.txt').write_bytes(evil)
    sentence_of(lambda: SODDataset(data_root=str(tmp_path / 'set'), ann_file='list.txt'), capsys)
    (tmp_path / 'set' / 'a.pkl').write_bytes(evil)
    for key in ('ann_file', 'proposal_file'):
        cfg = Config(
            dict(
                train_dataloader=dict(
                    dataset={'type': 'X', 'data_root': str(tmp_path / 'set'), key: 'a.pkl'}
                )
            )
        )
        assert 'is a pickle, which may execute' in sentence_of(lambda: check_data(cfg), capsys)  # noqa: B023


OUTWARD = ['../x.png', '/etc/x.png', 'a/../../x.png', '..\\x.png', 'a/b/../../../x']


@pytest.mark.parametrize('name', OUTWARD)
def test_lists_do_not_lead_out(tmp_path, capsys, name):
    root = write_set(tmp_path / 'set')
    cv2.imwrite(str(tmp_path / 'x.png'), np.zeros((4, 4, 3), np.uint8))
    (root / 'list.txt').write_text(f'0.png\n{name}\n')
    prefix = dict(img_path='image', seg_map_path='mask')
    for kind in (SODDataset, UnlabelledImageDataset):
        sentence = sentence_of(
            lambda kind=kind: kind(data_root=str(root), ann_file='list.txt', data_prefix=prefix),
            capsys,
        )
        assert 'is outside of the data folder' in sentence and 'line 2' in sentence
    main = tmp_path / 'voc' / 'ImageSets' / 'Main'
    main.mkdir(parents=True)
    (main / 'train.txt').write_text(f'{name}\n')
    if '\\' not in name:
        assert 'not a plain image name' in sentence_of(
            lambda: read_split(tmp_path / 'voc', 'train'), capsys
        )


@pytest.mark.parametrize('name', ['..', '.', 'a/b', '../x', 'a\\b'])
def test_names_of_sets_become_no_paths(tmp_path, capsys, name):
    root = write_set(tmp_path / 'set')
    for kind in (SODDataset, UnlabelledImageDataset, RGBDCoSODDataset):
        sentence = sentence_of(lambda kind=kind: kind(data_root=str(root), name=name), capsys)
        assert 'set a name without slashes' in sentence


def test_links_give_names_below_the_output_folder(tmp_path):
    root = write_set(tmp_path / 'set')
    cv2.imwrite(str(tmp_path / 'far.png'), np.zeros((4, 4, 3), np.uint8))
    (root / 'image' / 'linked.png').symlink_to(tmp_path / 'far.png')
    (root / 'list.txt').write_text('linked.png\n')
    data = UnlabelledImageDataset(
        data_root=str(root), ann_file='list.txt', data_prefix=dict(img_path='image')
    )
    info = data.get_data_info(0)
    out = tmp_path / 'out'
    written = label_path(out, info['dataset_name'], info['img_name']).resolve()
    assert written.is_relative_to(out)
    for source in find_sources([str(root / 'image'), str(root / 'image' / '..' / 'image')]):
        assert (out / f'{source.name}.png').resolve().is_relative_to(out)


def test_writing_replaces_a_link_and_not_what_it_points_to(tmp_path):
    from mmkd_sod.utils.images import write_png

    precious = tmp_path / 'precious.png'
    precious.write_text('kept')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a.png').symlink_to(precious)
    write_png(tmp_path / 'out' / 'a.png', np.zeros((2, 2), np.uint8))
    assert precious.read_text() == 'kept'
