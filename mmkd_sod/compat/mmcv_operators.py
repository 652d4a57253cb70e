"""mmcv-lite has no compiled operators, and mmdet and mmseg import them.

``import mmcv._ext`` finds operators in plain torch where there are no compiled ones that load; see
``mmkd_sod.compat.mmcv_ops``.
"""

from .entry import Entry
from .mmcv_ops.extension import offer

ENTRY = Entry(
    name='mmcv_operators',
    packages=('mmcv', 'mmcv-lite', 'onedl-mmcv'),
    versions='>=2.1,<3',
    attributes={'mmcv.ops': None, 'mmcv.utils.ext_loader': None},
    why='mmcv-lite has no compiled operators, and mmdet and mmseg import them',
    until='an mmcv whose operators fall back to torch',
    patch=offer,
)
