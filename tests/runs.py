"""Small runs of the tools, in this process or in a new one."""

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

from tests.conftest import forget_visualizers

ROOT = Path(__file__).resolve().parents[1]
DEMO = 'configs/demo/scenes_gfl_{}.py'
RANDOM_TEACHER = ('model.teacher_ckpt=None', "model.teacher_allow_missing=['*']")
# A model that trains in seconds: 16 images, narrow backbones, one validation.
# Scores of a new model are low; all are kept for comparison.
TINY_STUDENT = (
    'model.backbone.base_channels=4',
    'model.neck.in_channels=[4,8,16,32]',
    'model.test_cfg.score_thr=0.0',
)
TINY_DISTILL = tuple(
    f'model.{part}.{option.removeprefix("model.")}'
    for part in ('architecture', 'teacher')
    for option in TINY_STUDENT
)


def on(scenes: Path, epochs: int = 1) -> tuple:
    """Return cfg-options that train a demo config on these scenes for some short epochs."""
    val = f'{scenes}/annotations/val.json'
    roots = [
        f'{loader}_dataloader.dataset.data_root={scenes}/' for loader in ('train', 'val', 'test')
    ]
    return (
        *roots,
        f'val_evaluator.ann_file={val}',
        f'test_evaluator.ann_file={val}',
        f'train_cfg.max_epochs={epochs}',
        'train_cfg.val_interval=1',
        'default_hooks.logger.interval=1',
    )


def tool(name: str, *args, cfg_options=()) -> None:
    """Run a tool in this process; raise SystemExit if it fails."""
    forget_visualizers()
    argv, folder = sys.argv, os.getcwd()
    sys.argv = [f'tools/{name}.py', *map(str, args)]
    if cfg_options:
        sys.argv += ['--cfg-options', *cfg_options]
    os.chdir(ROOT)
    try:
        runpy.run_path(f'tools/{name}.py', run_name='__main__')
    finally:
        sys.argv = argv
        os.chdir(folder)


def command(script, *args, cfg_options=(), environment=None, **popen) -> subprocess.Popen:
    """Start a script in a new process with its output in one pipe; SIGINT ends it.

    Background jobs of a shell ignore SIGINT, and so do their children.
    """
    options = ['--cfg-options', *cfg_options] if cfg_options else []
    return subprocess.Popen(
        [sys.executable, '-W', 'ignore', str(script), *map(str, args), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=dict(os.environ, OMP_NUM_THREADS='1', **(environment or {})),
        **popen,
    )
