"""mmengine writes config files in place, through symbolic links.

A run writes its config into its ``work_dir``. In a folder from somebody else, a link of that name
would lead the text to any file, and a pipe would stop the run for ever.
"""

import functools

from mmkd_sod.utils.files import write_durably

from .entry import Entry


def write_configs() -> None:
    """Wrap ``Config.dump``: Python files are complete or absent, and replace links."""
    from mmengine.config import Config

    original = Config.dump

    @functools.wraps(original)
    def dump(self, file=None):
        if file is None or not str(file).endswith('.py'):
            return original(self, file)
        return write_durably(self.pretty_text.encode('utf-8'), str(file), clear=False)

    Config.dump = dump


ENTRY = Entry(
    name='dumped_configs',
    packages=('mmengine', 'onedl-mmengine'),
    versions='>=0.10.4,<0.11',
    security=True,
    attributes={'mmengine.config:Config.dump': ('self', 'file')},
    why='mmengine writes the config of a run through symbolic links',
    until='an mmengine that replaces files instead of following links',
    patch=write_configs,
)
