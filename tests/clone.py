"""A copy of the project with small data, in which the commands of the pages are run."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from mmkd_sod.datasets.scenes import SceneSettings, make_scenes
from tests.conftest import ROOT

_ASIDE = shutil.ignore_patterns(
    '.git',
    '.venv',
    'data',
    'work_dirs',
    'checkpoints',
    'build',
    '*.egg-info',
    '.mim',
    '__pycache__',
    '.*_cache',
)
CELLS = ('Platelets', 'RBC', 'WBC')
# Images a split of the detection sets; the others drop a batch that is not whole.
FEW = 2
# The generated sets of the demos are made at their full size; runs read so many images of them.
_FEW = """
for _name, _few in dict(train={0}, val=4, test=4).items():
    globals()[f'{{_name}}_dataloader']['dataset']['indices'] = _few
"""


def make_clone(folder: Path) -> Path:
    """Copy the project to ``folder/project``, with data."""
    project = folder / 'project'
    shutil.copytree(ROOT, project, ignore=_ASIDE, symlinks=True)
    # A detector that was trained on fewer finds nothing, and then there is nothing to measure.
    for name, few in (('scenes_detection', 96), ('groups_rgbd', 4)):
        base = project / f'configs/demo/_base_/{name}.py'
        base.write_text(base.read_text() + _FEW.format(few))
    # `make` finds an environment that is set up: this one.
    (project / '.venv/bin').mkdir(parents=True)
    python = project / '.venv/bin/python'
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (project / '.venv/.installed').touch()
    fill_data(project / 'data', folder / 'scenes')
    return project


def fill_data(data: Path, scenes: Path) -> None:
    """Write a few generated images in the layouts that the pages describe."""
    make_scenes(scenes, SceneSettings(train=8, val=4, width=240, height=180), progress=False)
    files = {split: sorted((scenes / split / 'images').iterdir()) for split in ('train', 'val')}
    for name in ('bccd', 'cells'):
        _write_voc(data / name, scenes, files)
    for split, paths in files.items():
        masks, saliency = scenes / split / 'masks', scenes / split / 'saliency'
        for path in paths:
            name, png = f'{split}_{path.name}', f'{split}_{path.stem}.png'
            _copy(path, data / 'shapes/images' / name)
            _copy(path, data / 'streets/images' / split / name)
            _copy(masks / f'{path.stem}.png', data / 'streets/labels' / split / png)
            for folder in (split, 'test') if split == 'val' else (split,):
                _copy(path, data / 'camvid/images' / folder / name)
                _copy(masks / f'{path.stem}.png', data / 'camvid/annotations' / folder / png)
            _copy(path, data / 'photos/some' / name)
            for folder in ('human_seg', 'things'):
                _copy(path, data / folder / 'image' / name)
                _copy(saliency / f'{path.stem}.png', data / folder / 'mask' / png)
                with open(
                    data / folder / ('train.txt' if split == 'train' else 'test.txt'), 'a'
                ) as file:
                    file.write(f'{name}\n')
        boxes = json.loads((scenes / f'annotations/{split}.json').read_text())
        for image in boxes['images']:
            image['file_name'] = f'{split}_{image["file_name"]}'
        (data / 'shapes/annotations').mkdir(parents=True, exist_ok=True)
        (data / f'shapes/annotations/{split}.json').write_text(json.dumps(boxes))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write_voc(root: Path, scenes: Path, files: dict) -> None:
    for name in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
        (root / name).mkdir(parents=True)
    for split, paths in files.items():
        coco = json.loads((scenes / f'annotations/{split}.json').read_text())
        for image in coco['images']:
            stem = Path(image['file_name']).stem
            _copy(
                scenes / split / 'images' / image['file_name'],
                root / f'JPEGImages/{split}_{image["file_name"]}',
            )
            objects = ''
            for found in coco['annotations']:
                if found['image_id'] == image['id']:
                    x, y, w, h = found['bbox']
                    box = dict(xmin=x + 1, ymin=y + 1, xmax=x + w + 1, ymax=y + h + 1)
                    corners = ''.join(f'<{k}>{v:.0f}</{k}>' for k, v in box.items())
                    objects += (
                        f'<object><name>{CELLS[found["category_id"] % 3]}</name>'
                        f'<bndbox>{corners}</bndbox></object>'
                    )
            (root / f'Annotations/{split}_{stem}.xml').write_text(
                f'<annotation><size><width>{image["width"]}</width>'
                f'<height>{image["height"]}</height></size>{objects}</annotation>'
            )
        names = ''.join(f'{split}_{path.stem}\n' for path in paths[:FEW])
        for listed in (split, 'test') if split == 'val' else (split,):
            (root / f'ImageSets/Main/{listed}.txt').write_text(names)


def environment(project: Path) -> dict:
    """Variables for a command in the clone: its own mmkd_sod, one thread, a free port."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    return dict(
        os.environ,
        PYTHONPATH=str(project),
        OMP_NUM_THREADS='1',
        PORT=str(port),
        PYTHONWARNINGS='ignore',
        PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
    )


def shell(project: Path, line: str) -> subprocess.CompletedProcess:
    """Run a line in the clone, its output in one text."""
    return subprocess.run(
        ['bash', '-c', line],
        cwd=project,
        env=environment(project),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
    )
