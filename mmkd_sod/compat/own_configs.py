"""mmengine reads ``'package::folder/name.py'`` for a fixed list of packages only.

With mmkd_sod on it, its configs are found by that name wherever it is installed from a wheel.
"""

from .entry import Entry


def announce_configs() -> None:
    """Put mmkd_sod on mmengine's list."""
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE['mmkd_sod'] = 'mmkd_sod'


ENTRY = Entry(
    name='own_configs',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={'mmengine.config.utils:MODULE2PACKAGE': None},
    why="mmengine finds 'package::' configs of the packages it knows only",
    until='an mmengine that takes any installed package',
    patch=announce_configs,
)
