"""Configs for the tests of the doctor: the demo on a few small scenes, with narrow networks."""

import tempfile

from mmengine.config import Config
from mmengine.config.config import DictAction

from mmkd_sod.doctor import Report, examine_config
from mmkd_sod.doctor.context import Context
from mmkd_sod.doctor.report import Section
from tests.conftest import ROOT
from tests.runs import DEMO, RANDOM_TEACHER, TINY_DISTILL, TINY_STUDENT, on


def tiny_config(scenes, *options, run: str = 'crosskd') -> Config:
    """Return a demo config; the teacher of a distilled one is random, which is allowed."""
    cfg = Config.fromfile(ROOT / DEMO.format(run))
    sizes = (*TINY_DISTILL, *RANDOM_TEACHER) if run == 'crosskd' else TINY_STUDENT
    pairs = (option.split('=', 1) for option in (*on(scenes), *sizes, *options))
    cfg.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in pairs})
    return cfg


def examine(scenes, *options, run: str = 'crosskd', **kwargs) -> Report:
    """Return the report on such a config, with few images and steps."""
    return examine_config(tiny_config(scenes, *options, run=run), images=1, steps=1, **kwargs)


def run_section(
    module, scenes=None, *options, run: str = 'crosskd', **state
) -> tuple[Context, Section]:
    """Run one section alone; return its context and the section."""
    cfg = Config(dict()) if scenes is None else tiny_config(scenes, *options, run=run)
    with tempfile.TemporaryDirectory() as folder:
        context, section = (
            Context(cfg, work_dir=folder, **state),
            Section(module.NAME, module.TITLE),
        )
        module.examine(context, section)
    return context, section


def findings(section: Section, level: str) -> str:
    """Return the texts of a level in one string."""
    return '\n'.join(found.text for found in section.findings if found.level == level)
