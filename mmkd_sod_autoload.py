"""Offers mmkd_sod's operators to mmcv from the import of torch on.

torch calls ``offer`` by the entry point ``torch.backends`` of an installed mmkd_sod. So mmdet
works on mmcv-lite whatever is imported first, as its tools/test.py and spawned workers do before
they read a config. Nothing of mmkd_sod is imported until mmcv asks for operators that it lacks;
``TORCH_DEVICE_BACKEND_AUTOLOAD=0`` switches this off.
"""

import os
import sys


class _Finder:
    """The last finder: asked only where there is no compiled ``mmcv._ext``."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if fullname != 'mmcv._ext':
            return None
        from mmkd_sod.compat.mmcv_ops.extension import extension_spec

        return extension_spec(path)


def offer() -> None:
    """Let ``import mmcv._ext`` find mmkd_sod's operators where no other are found."""
    off = os.environ.get('MMKD_COMPAT_OFF', '').split(',')
    if 'mmcv_operators' not in off and _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
