"""The compiled operators of mmcv in plain torch, one module per family.

Each family has a dict ``OPERATORS`` from the name that ``mmcv/ops`` asks ``mmcv._ext`` for to a
function with the same arguments. ``extension`` offers them under that module's name where mmcv
comes without it, as mmcv-lite does.
"""
