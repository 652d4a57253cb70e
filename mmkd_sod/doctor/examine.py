"""All concerns, one after the other; what one misses, the next ones leave out."""
import contextlib
import copy
import io
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from types import ModuleType

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

from mmkd_sod.engine.default_hooks import add_default_hooks

from . import data, losses, models, score, start, steps, tensors, versions, weights
from .context import Context, describe_error
from .report import Report, Section

CONCERNS = (versions, data, models, weights, score, start, tensors, losses, steps)
# What a section cannot do without, in words.
_LACKING = dict(
    model='the model was not built', weighed='the weights were not loaded',
    val_set='there are no validation data', batch='there is no training batch',
    runner='the run did not start', losses='there are no losses')
_SILENT = logging.CRITICAL + 1
# What the report says in its own words.
_KNOWN = ('The testing results of the whole dataset is empty.',
          'The prefix is not set in metric class IoUMetric.')


class _Warnings(logging.Handler):
    """Keeps what upstream's loggers warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message, once."""
        text = ' '.join(record.getMessage().split())
        if text not in self.messages and text not in _KNOWN:
            self.messages.append(text)


@contextlib.contextmanager
def _heard():
    """Listen to mmengine's current logger, which says nothing on its own meanwhile."""
    listener, logger = _Warnings(), MMLogger.get_current_instance()
    levels = [(handler, handler.level) for handler in logger.handlers]
    for handler, _ in levels:
        handler.setLevel(_SILENT)
    logger.addHandler(listener)
    try:
        yield listener.messages
    finally:
        logger.removeHandler(listener)
        for handler, level in levels:
            handler.setLevel(level)


def _examine(concern: ModuleType, context: Context) -> Section:
    """One concern's section; whatever goes wrong in it becomes a finding."""
    section, began = Section(concern.NAME, concern.TITLE), time.perf_counter()
    lacking = [need for need in concern.NEEDS if getattr(context, need) is None]
    if lacking:
        section.skip(_LACKING[lacking[0]])
        return section
    with _heard() as messages:
        try:
            concern.examine(context, section)
        except Exception as error:  # a run would end with it, whatever it is
            section.error(describe_error(error))
    for message in messages:
        if not any(message in finding.text for finding in section.findings):
            section.note(message)
    section.seconds = time.perf_counter() - began
    return section


def examine_config(cfg: Config,
                   images: int = 8,
                   steps: int = 4,
                   tell: Callable[[str], None] | None = None) -> Report:
    """Look at a config as a run of it would begin, on one batch and a few validation images.

    Nothing is written to the config's work directory, and nothing of what upstream prints is seen;
    its warnings become notes.

    Args:
        cfg (Config): The config.
        images (int): Validation images to score at most.
        steps (int): Training steps to time at most.
        tell (Callable, optional): Called with each section's title before it begins.

    Returns:
        Report: Sections and findings.
    """
    report = Report(str(cfg.filename or 'config'))
    seed = (cfg.get('randomness') or {}).get('seed')
    with tempfile.TemporaryDirectory(prefix='mmkd_doctor_') as work_dir, \
            warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        init_default_scope(cfg.get('default_scope') or 'mmengine')
        set_random_seed(0 if seed is None else seed)
        # As tools/train.py does.
        cfg = copy.deepcopy(cfg)
        add_default_hooks(cfg)
        context = Context(cfg, get_device(), work_dir, images, steps)
        for concern in CONCERNS:
            if tell is not None:
                tell(concern.TITLE)
            report.sections.append(_examine(concern, context))
    return report


def examine_environment() -> Report:
    """Look at installed versions and at the device alone."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return Report('environment', [_examine(versions, Context(Config(), get_device()))])
