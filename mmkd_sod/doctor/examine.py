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
from mmengine.runner import set_random_seed

from mmkd_sod.engine.build_runner import enter_scope
from mmkd_sod.engine.default_hooks import add_default_hooks

from . import data, losses, models, score, start, steps, tensors, versions, weights
from .context import Context
from .report import Report, Section
from .trial import Trial

# The sections before the run, at its first step, and after its last.
_BEFORE = (versions, models, data, weights, score)
_AT_FIRST_STEP = (tensors, losses)
SECTIONS = (*_BEFORE, start, *_AT_FIRST_STEP, steps)
# Why a section is skipped, by the missing attribute of the context.
_REASONS = dict(
    model='the model was not built',
    weights_loaded='the weights were not loaded',
    val_set='there are no validation data',
    batch='there is no training batch',
    trial='the run did not start',
    losses='there are no losses',
)
_SILENT = logging.CRITICAL + 1
# Warnings about facts that the report has its own lines for.
_KNOWN = (
    'The testing results of the whole dataset is empty.',
    'The prefix is not set in metric class IoUMetric.',
)
# The weights were initialised before, to count them.
_REPEATED = 'has been called more than once.'


class _Warnings(logging.Handler):
    """Collects the warnings of upstream's loggers."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep each message once."""
        text = ' '.join(record.getMessage().split())
        known = text in _KNOWN or text.endswith(_REPEATED)
        if not known and text not in self.messages:
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


class _Examination:
    """Runs sections and adds them to a report; an error in a section becomes a finding.

    Args:
        context (Context): State that the sections share.
        report (Report): Gets the sections.
        on_section (Callable, optional): Called with the title of each section before it starts.
    """

    def __init__(
        self, context: Context, report: Report, on_section: Callable[[str], None] | None = None
    ) -> None:
        self.context = context
        self.report = report
        self.on_section = on_section

    def run(self, module: ModuleType, work: Callable[[Section], None] | None = None) -> None:
        """Run a section.

        Args:
            module (ModuleType): The section.
            work (Callable, optional): Called with the section instead of its ``examine``.
        """
        section, began = Section(module.NAME, module.TITLE), time.perf_counter()
        self.report.sections.append(section)
        if self.on_section is not None:
            self.on_section(module.TITLE)
        missing = [need for need in module.NEEDS if getattr(self.context, need) is None]
        if missing:
            section.skip(_REASONS[missing[0]])
            return
        with _collected_warnings() as messages:
            try:
                if work is None:
                    module.examine(self.context, section)
                else:
                    work(section)
            except Exception as error:  # the run would end with the same error
                section.error(self.context.describe(error))
        told = ' '.join(item.text for done in self.report.sections for item in done.findings)
        for message in messages:
            if message not in told:
                section.note(message)
        section.seconds = section.seconds or time.perf_counter() - began

    def run_trial(self) -> None:
        """Start the training, run the sections of its first step, and time a few steps."""
        errors: list[Exception] = []
        stepping = 0.0

        def begin(section: Section) -> None:
            began, context = time.perf_counter(), self.context

            def at_first_step(batch: dict) -> bool:
                nonlocal stepping
                context.batch, context.trial = batch, trial
                start.examine(context, section)
                section.seconds = time.perf_counter() - began
                for module in _AT_FIRST_STEP:
                    self.run(module)
                stepping = time.perf_counter()
                if context.losses is None:
                    return False
                # Frees the graph of the forward pass, which would count as memory.
                context.losses, context.loss_calls = {}, []
                return True

            trial = Trial(context.runner, context.steps, context.device, at_first_step)
            try:
                trial.run()
            except Exception as error:
                if context.trial is None:
                    raise
                errors.append(error)

        def extrapolate(section: Section) -> None:
            if errors:
                raise errors[0]
            steps.examine(self.context, section)
            section.seconds = time.perf_counter() - stepping

        self.run(start, begin)
        if self.context.trial is None:
            for module in _AT_FIRST_STEP:
                self.run(module)
        self.run(steps, extrapolate)


def examine_config(
    cfg: Config,
    images: int = 8,
    steps: int = 4,
    on_section: Callable[[str], None] | None = None,
    explain: Callable[[Exception], Exception] | None = None,
) -> Report:
    """Check a config by starting its run on one batch and a few validation images.

    Runner, loop, hooks and data loaders are built as training builds them. Nothing is written to
    the work directory of the config. Output of upstream is suppressed, and its warnings become
    notes.

    Args:
        cfg (Config): The config.
        images (int): Maximum number of validation images to score.
        steps (int): Maximum number of training steps to time.
        on_section (Callable, optional): Called with the title of each section before it starts.
        explain (Callable, optional): Returns the user's mistake that an error proves, or the error
            itself; default: the error itself.

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
        enter_scope(cfg)
        set_random_seed(0 if seed is None else seed)
        # As in tools/train.py.
        cfg = copy.deepcopy(cfg)
        add_default_hooks(cfg)
        context = Context(cfg, get_device(), work_dir, images, steps)
        if explain is not None:
            context.explain = explain
        examination = _Examination(context, report, on_section)
        for module in _BEFORE:
            examination.run(module)
        examination.run_trial()
    return report


def examine_environment() -> Report:
    """Report installed versions and the device, without a config."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        report = Report('environment')
        _Examination(Context(Config(), get_device()), report).run(versions)
    return report
