"""Reading config files that may refer to themselves."""

import traceback
from os.path import abspath

from mmengine.config import Config
from mmengine.hub import get_config

from mmkd_sod.errors import ConfigError


def read_config_file(name: str) -> Config:
    """Return the config of a file, or of ``'package::folder/name.py'``; this executes it.

    Raises:
        ConfigError: The config inherits from itself, or is nested too deeply.
    """
    try:
        return get_config(name) if '::' in name else Config.fromfile(name)
    except RecursionError as error:
        # A frame that raises an error again is there twice.
        frames = dict.fromkeys(frame for frame, _ in traceback.walk_tb(error.__traceback__))
        files = [
            abspath(str(frame.f_locals['filename']))
            for frame in frames
            if frame.f_code.co_name in ('_file2dict', '_parse_lazy_import')
        ]
        again = next((i for i, file in enumerate(files) if file in files[:i]), None)
        if again is None:
            raise ConfigError(f"config '{name}' is nested too deeply; simplify it") from error
        circle = files[files.index(files[again]) : again + 1]
        raise ConfigError(
            f"config '{name}' inherits from itself ({' -> '.join(circle)}); remove one of these "
            'from its `_base_`'
        ) from error
