"""Running all sections of the doctor; a section is skipped if its input is missing."""

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

SECTIONS = (versions, data, models, weights, score, start, tensors, losses, steps)
# Why a section is skipped, by the missing attribute of the context.
_REASONS = dict(
    model='the model was not built',
    weights_loaded='the weights were not loaded',
    val_set='there are no validation data',
    batch='there is no training batch',
    runner='the run did not start',
    losses='there are no losses',
)
_SILENT = logging.CRITICAL + 1
# Warnings about facts that the report has its own lines for.
_KNOWN = (
    'The testing results of the whole dataset is empty.',
    'The prefix is not set in metric class IoUMetric.',
)


class _Warnings(logging.Handler):
    """Collects the warnings of upstream's loggers."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep each message once."""
        text = ' '.join(record.getMessage().split())
        if text not in self.messages and text not in _KNOWN:
            self.messages.append(text)


@contextlib.contextmanager
def _collected_warnings():
    """Collect the warnings of mmengine's current logger and silence its handlers."""
    collector, logger = _Warnings(), MMLogger.get_current_instance()
    levels = [(handler, handler.level) for handler in logger.handlers]
    for handler, _ in levels:
        handler.setLevel(_SILENT)
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)
        for handler, level in levels:
            handler.setLevel(level)


def _examine(module: ModuleType, context: Context) -> Section:
    """Run one section; an error in it becomes a finding."""
    section, start = Section(module.NAME, module.TITLE), time.perf_counter()
    missing = [need for need in module.NEEDS if getattr(context, need) is None]
    if missing:
        section.skip(_REASONS[missing[0]])
        return section
    with _collected_warnings() as messages:
        try:
            module.examine(context, section)
        except Exception as error:  # the run would end with the same error
            section.error(describe_error(error))
    for message in messages:
        if not any(message in finding.text for finding in section.findings):
            section.note(message)
    section.seconds = time.perf_counter() - start
    return section


def examine_config(
    cfg: Config, images: int = 8, steps: int = 4, on_section: Callable[[str], None] | None = None
) -> Report:
    """Check a config by starting its run on one batch and a few validation images.

    Nothing is written to the work directory of the config. Output of upstream is suppressed, and
    its warnings become notes.

    Args:
        cfg (Config): The config.
        images (int): Maximum number of validation images to score.
        steps (int): Maximum number of training steps to time.
        on_section (Callable, optional): Called with the title of each section before it starts.

    Returns:
        Report: Sections and findings.
    """
    report = Report(str(cfg.filename or 'config'))
    seed = (cfg.get('randomness') or {}).get('seed')
    with (
        tempfile.TemporaryDirectory(prefix='mmkd_doctor_') as work_dir,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter('ignore')
        init_default_scope(cfg.get('default_scope') or 'mmengine')
        set_random_seed(0 if seed is None else seed)
        # As in tools/train.py.
        cfg = copy.deepcopy(cfg)
        add_default_hooks(cfg)
        context = Context(cfg, get_device(), work_dir, images, steps)
        for module in SECTIONS:
            if on_section is not None:
                on_section(module.TITLE)
            report.sections.append(_examine(module, context))
    return report


def examine_environment() -> Report:
    """Report installed versions and the device, without a config."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return Report('environment', [_examine(versions, Context(Config(), get_device()))])
