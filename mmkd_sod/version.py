"""Version of mmkd_sod."""

__version__ = '0.1.0'
