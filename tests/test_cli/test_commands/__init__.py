"""Commands of `python -m mmkd_sod`."""
