"""The commands of ``python -m mmkd_sod``: a module of this package is a command of its name.

A command module has a docstring whose first line is its help text, ``add_arguments(parser)`` and
``run(args)``, which returns the exit code (None is 0) and raises a
``mmkd_sod.errors.UserError`` where a user can correct something. `tools/NAME.py` runs the same
module through ``mmkd_sod.cli.common.run_command``. Names that start with an underscore are no
commands. Nothing is imported here: a command loads when it is asked for.
"""
