"""mmengine reads config paths through ``pkg_resources``, which warns at every import.

The warning asks to pin setuptools below 81, which `requirements/` does.
"""

import warnings

from .entry import Entry


def silence() -> None:
    """Ignore that warning."""
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')


ENTRY = Entry(
    name='pkg_resources_warning',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    attributes={'mmengine.utils.package_utils:get_installed_path': ('package',)},
    why='mmengine imports pkg_resources, which warns of its end',
    until='an mmengine that reads importlib.metadata',
    patch=silence,
)
