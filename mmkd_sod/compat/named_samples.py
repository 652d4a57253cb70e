"""Which image a worker process could not read."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.dataset import BaseDataset
from torch.utils.data import get_worker_info

from mmkd_sod.errors import DataError, UserError


@contextmanager
def samples_named(sentence: Callable[[Exception], str]) -> Iterator[None]:
    """Let data sets of mmengine name the image when a worker process cannot prepare a sample.

    Of an error in a worker only its text arrives in the main process, and that of a library often
    names no file. Worker processes that are forked while the context is open have this; in the main
    process nothing changes.

    Args:
        sentence (Callable): What an error says, in one line.
    """
    original = BaseDataset.prepare_data

    def prepare_data(self, idx):
        try:
            return original(self, idx)
        except UserError:
            raise
        except Exception as error:
            path = None if get_worker_info() is None else self.get_data_info(idx).get('img_path')
            if path is None:
                raise
            raise DataError(f'the data cannot be read ({path}): {sentence(error)}') from error

    BaseDataset.prepare_data = prepare_data
    try:
        yield
    finally:
        BaseDataset.prepare_data = original
