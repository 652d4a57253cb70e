"""mmengine does not say which sample could not be prepared.

A transform that fails raises what its library raised, often without a file; of an error in a worker
process only the text arrives. An image that cannot be read becomes a ``DataError`` that names it.
Any other error keeps its type, message and traceback; a note below it names the sample.
"""

import functools
import os.path as osp

from mmkd_sod.errors import DataError, UserError
from mmkd_sod.utils.images import read_image, read_with_opencv
from mmkd_sod.utils.notes import add_note

from .entry import Entry


def unreadable(path, error: Exception) -> DataError | None:
    """Return the mistake of an image that cannot be read, or None where it can or may be.

    Args:
        path: What a data set has under ``img_path``.
        error (Exception): What was raised. A file that is not on the local disk is missing for
            certain only where this says so, since the data set may read another storage.
    """
    if not isinstance(path, str):
        return None
    missing = isinstance(error, FileNotFoundError) and error.filename == path
    if not missing and (not osp.exists(path) or read_with_opencv(path) is not None):
        return None
    try:
        read_image(path)
    except DataError as fault:
        return fault
    return None


def _explained(prepare_data):
    @functools.wraps(prepare_data)
    def wrapped(self, idx):
        try:
            return prepare_data(self, idx)
        except UserError:
            raise
        except Exception as error:
            try:
                path = self.get_data_info(idx).get('img_path')
            except Exception:  # The record is what could not be prepared.
                path = None
            fault = unreadable(path, error)
            if fault is not None:
                raise fault from error
            image = f', img_path={path!r}' if path is not None else ''
            add_note(error, f'Hint: raised by sample {idx} of {type(self).__name__}{image}')
            raise

    return wrapped


def explain_samples() -> None:
    """Let mmengine's data sets name the sample."""
    from mmengine.dataset import BaseDataset

    BaseDataset.prepare_data = _explained(BaseDataset.prepare_data)


ENTRY = Entry(
    name='sample_errors',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={'mmengine.dataset:BaseDataset.prepare_data': ('self', 'idx')},
    why='mmengine does not say which sample or image could not be read',
    until='an mmengine whose errors name the sample',
    patch=explain_samples,
)
