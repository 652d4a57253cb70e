"""Knowledge distillation of dense-prediction models, as OpenMMLab modules.

``custom_imports = dict(imports=['mmkd_sod'])`` in a config is all that mmdet's or mmseg's own
tools need: importing this package patches upstream problems (``mmkd_sod.compat``) and declares
the registries of scope ``mmkd_sod``. mmdet, mmseg and mmrazor are imported with the first module
that needs them.
"""

from . import compat

compat.apply()

from . import registry  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'compat', 'registry']
