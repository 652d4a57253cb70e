"""A page of what several runs gave: ``python -m mmkd_sod report``."""
