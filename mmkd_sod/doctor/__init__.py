"""The doctor: looks at a config on one batch, before a long run; one module a concern."""
from .examine import examine_config, examine_environment
from .report import Finding, Report, Section

__all__ = ['Finding', 'Report', 'Section', 'examine_config', 'examine_environment']
