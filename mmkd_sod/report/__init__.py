"""An HTML report on several runs: ``python -m mmkd_sod report``."""
