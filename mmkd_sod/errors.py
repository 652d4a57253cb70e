"""The errors that mmkd_sod raises for a user's mistake.

Each message is one sentence: what was given, what was expected, what to do. The command line prints
it without a traceback, exit code 2; any other exception keeps its traceback (``mmkd_sod.cli``).
"""


class UserError(ValueError):
    """A mistake in a config, in data or in a checkpoint that the user can correct."""


class ConfigError(UserError):
    """A config that cannot work."""


class DataError(UserError):
    """Data that is missing or cannot be read; the message names the file."""


class TrainingError(UserError):
    """A training that cannot continue."""


class CheckpointError(UserError):
    """A checkpoint that is missing, unsafe or does not fit."""


class InstallationError(UserError, ImportError):
    """A package that is missing or lacks a required feature."""
