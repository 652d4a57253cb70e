"""Distil a detector on generated scenes: data, teacher, plain and distilled student, a table.

An interrupted demo resumes when it is started again; finished runs are not repeated.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from pathlib import Path

from mmengine.config import Config

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.cli.common import run_tool
from mmkd_sod.engine.run_results import is_finished, last_scores, newest_checkpoint
from mmkd_sod.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
RUNS = dict(teacher='teacher', student='plain student', crosskd='distilled student')
WORK = Path('work_dirs/demo')


def config_of(run: str) -> Path:
    """Return the config file of a run."""
    return Path(f'configs/demo/scenes_gfl_{run}.py')


def start(run: str, threads: int) -> subprocess.Popen | None:
    """Start or resume a run in the background; return None if it is finished."""
    if is_finished(WORK / run, Config.fromfile(config_of(run))):
        return None
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / f'{run}.log', 'a') as log:
        return subprocess.Popen(
            [
                sys.executable,
                '-W',
                'ignore',
                'tools/train.py',
                str(config_of(run)),
                '--work-dir',
                str(WORK / run),
                '--resume',
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, OMP_NUM_THREADS=str(threads)),
        )


def progress(run: str) -> str:
    """Return epoch and ETA from the newest training line of a run's log."""
    lines = [
        line
        for line in (WORK / f'{run}.log').read_text().splitlines()
        if 'Epoch(train)' in line and 'eta:' in line
    ]
    if not lines:
        return 'starting'
    epoch = lines[-1].split('Epoch(train)')[1].split('lr:')[0].strip().replace(' ', '')
    return f'epoch {epoch} eta {lines[-1].split("eta:")[1].split()[0]}'


def train(runs: dict[str, int]) -> None:
    """Train runs at the same time, ``{run: threads}``, and print their progress.

    Raises:
        UserError: A run failed; the message names its log.
    """
    started = {
        run: process
        for run, threads in runs.items()
        if (process := start(run, threads)) is not None
    }
    told = 0.0
    try:
        while any(process.poll() is None for process in started.values()):
            time.sleep(0.5)
            if time.monotonic() - told > 15:
                told = time.monotonic()
                print(
                    '  '
                    + '   '.join(
                        f'{RUNS[run]}: {progress(run)}'
                        for run in started
                        if started[run].poll() is None
                    ),
                    flush=True,
                )
    except BaseException:
        for process in started.values():
            process.terminate()
        raise
    for run, process in started.items():
        if process.returncode:
            raise UserError(
                f"the {RUNS[run]}'s training failed; see {WORK / run}.log, then "
                'start the demo again: it resumes from the last checkpoint'
            )


def export(run: str) -> Path:
    """Export the plain checkpoint of a run unless it is up to date; return its path."""
    checkpoint = newest_checkpoint(WORK / run)
    out = WORK / 'students' / f'{config_of(run).stem}.pth'
    if not out.is_file() or out.stat().st_mtime < checkpoint.stat().st_mtime:
        subprocess.run(
            [
                sys.executable,
                '-W',
                'ignore',
                'tools/export_student.py',
                str(config_of(run)),
                str(checkpoint),
                '--out-dir',
                str(out.parent),
                '--force',
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return out


def table() -> str:
    """Return a table of AP, AP50, parameters and checkpoint sizes of the three models."""
    import torch

    rows = [f'{"":20}{"AP":>7}{"AP50":>7}{"parameters":>13}{"checkpoint":>12}{"weights only":>14}']
    for run, name in RUNS.items():
        scores, weights = last_scores(WORK / run), export(run)
        state = torch.load(weights, weights_only=True)['state_dict']
        count = sum(value.numel() for value in state.values() if value.is_floating_point())
        # mmdet reports no score for a model that detects nothing.
        ap, ap50 = (scores.get(f'coco/bbox_mAP{end}', math.nan) * 100 for end in ('', '_50'))
        rows.append(
            f'{name:20}{ap:7.1f}{ap50:7.1f}'
            f'{count:13,}{newest_checkpoint(WORK / run).stat().st_size / 2**20:8.2f} MiB'
            f'{weights.stat().st_size / 2**20:10.2f} MiB'
        )
    return '\n'.join(rows)


def pictures(count: int = 4) -> None:
    """Draw the curves of the three runs, and their boxes next to the ground truth."""
    import cv2
    from mmdet.apis import inference_detector, init_detector
    from pycocotools.coco import COCO

    from mmkd_sod.visualization.curves import plot_curves
    from mmkd_sod.visualization.panels import detection_panel

    plot_curves({name: WORK / run for run, name in RUNS.items()}, WORK / 'curves.png')
    cfg = Config.fromfile(config_of('student'))
    data = cfg.val_dataloader.dataset
    coco = COCO(str(Path(data.data_root) / data.ann_file))
    infos = coco.loadImgs(sorted(coco.imgs)[:count])
    paths = [str(Path(data.data_root) / data.data_prefix.img / info['file_name']) for info in infos]
    truth = []
    for info in infos:
        found = coco.loadAnns(coco.getAnnIds(info['id']))
        truth.append(
            dict(
                bboxes=[[x, y, x + w, y + h] for x, y, w, h in (ann['bbox'] for ann in found)],
                labels=[coco.getCatIds().index(ann['category_id']) for ann in found],
            )
        )
    columns = {'ground truth': truth}
    for run, name in RUNS.items():
        weights = export(run)
        model = init_detector(str(weights.with_suffix('.py')), str(weights), device='cpu')
        columns[name] = [
            {key: value.numpy() for key, value in result.pred_instances.items()}
            for result in inference_detector(model, paths)
        ]
    images = [cv2.imread(path)[..., ::-1] for path in paths]
    # After few epochs, boxes with scores below 0.4 often repeat an object with another class.
    detection_panel(images, columns, data.metainfo.classes, WORK / 'boxes.png', score_thr=0.4)


def main() -> None:
    """Run the whole demo from the project's root folder."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.chdir(ROOT)
    began = time.monotonic()
    print('Scenes', flush=True)
    subprocess.run([sys.executable, 'tools/make_scenes.py'], check=True)
    print('Teacher and plain student, side by side', flush=True)
    train(dict(teacher=1, student=1))
    print('Distilled student', flush=True)
    train(dict(crosskd=max(1, min(4, os.cpu_count() or 1))))
    print('Table and pictures', flush=True)
    result = table()
    if not all((WORK / name).is_file() for name in ('curves.png', 'boxes.png')):
        pictures()
    print(
        f'\n{result}\n\nAP on the val split. Curves: {WORK}/curves.png, boxes: {WORK}/boxes.png '
        f'({time.monotonic() - began:.0f} s)'
    )


if __name__ == '__main__':
    run_tool(main)
