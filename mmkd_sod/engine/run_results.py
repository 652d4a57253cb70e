"""What a finished run says of itself: its newest checkpoint, its last scores."""
from pathlib import Path

from mmengine.config import Config

from mmkd_sod.errors import DataError
from mmkd_sod.utils.checkpoint_files import latest_checkpoint
from mmkd_sod.utils.run_logs import is_training, scalar_records


def newest_checkpoint(work_dir) -> Path | None:
    """The checkpoint that ``--resume`` would take, or None where there is none.

    Args:
        work_dir (str | Path): Folder of a run.
    """
    path = latest_checkpoint(work_dir)
    return None if path is None else Path(path)


def is_finished(work_dir, cfg: Config) -> bool:
    """Whether a run by epochs has reached the last epoch of its config."""
    checkpoint = newest_checkpoint(work_dir)
    return checkpoint is not None and checkpoint.stem == f'epoch_{cfg.train_cfg.max_epochs}'


def last_scores(work_dir) -> dict:
    """The last validation record of a run, metric name to value.

    Args:
        work_dir (str | Path): Folder of a run.

    Raises:
        DataError: The run has logged no validation.
    """
    scores = {}
    if any(Path(work_dir).glob('*/vis_data/scalars.json')):
        for record in scalar_records(work_dir):
            if not is_training(record):
                scores = record
    if not scores:
        raise DataError(f'{work_dir} holds no validation record; train there to the end first')
    return scores
