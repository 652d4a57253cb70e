"""Results of a run: its latest checkpoint and its last scores."""

from pathlib import Path

from mmengine.config import Config

from mmkd_sod.errors import DataError
from mmkd_sod.utils.checkpoint_files import latest_checkpoint
from mmkd_sod.utils.run_logs import is_training, scalar_records


def newest_checkpoint(work_dir) -> Path | None:
    """Return the checkpoint from which ``--resume`` would resume, or None if there is none.

    Args:
        work_dir (str | Path): Folder of a run.
    """
    path = latest_checkpoint(work_dir)
    return None if path is None else Path(path)


def is_finished(work_dir, cfg: Config) -> bool:
    """Return whether an epoch-based run has reached the last epoch of its config."""
    checkpoint = newest_checkpoint(work_dir)
    return checkpoint is not None and checkpoint.stem == f'epoch_{cfg.train_cfg.max_epochs}'


def last_scores(work_dir) -> dict:
    """Return the last validation record of a run, metric name to value.

    Args:
        work_dir (str | Path): Folder of a run.

    Raises:
        DataError: The run has no validation record.
    """
    scores = {}
    if any(Path(work_dir).glob('*/vis_data/scalars.json')):
        for record in scalar_records(work_dir):
            if not is_training(record):
                scores = record
    if not scores:
        raise DataError(f"'{work_dir}' has no validation record; give the folder of a finished run")
    return scores
