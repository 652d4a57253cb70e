"""The doctor: checks of a config on one batch before a long run, with one module per section."""

from .examine import examine_config, examine_environment
from .report import Finding, Report, Section

__all__ = ['Finding', 'Report', 'Section', 'examine_config', 'examine_environment']
