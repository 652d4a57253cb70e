"""mmrazor 1.0 does not import on current torch.

It imports its quantisation tables, written for torch 1.13, with everything else. They use names and
pattern orders that torch has dropped since, so ``import mmrazor.models`` fails. Distillation needs
none of them: an empty table under their name lets the rest import.
"""

import sys
import types

from .entry import Entry

_TABLES = 'mmrazor.structures.quantization.backend_config'


def stub_tables() -> None:
    """Put an empty module where mmrazor's tables would be imported from."""
    if _TABLES not in sys.modules:
        module = types.ModuleType(_TABLES, 'Stand-in of mmkd_sod: no quantisation back ends.')
        vars(module).update(BackendConfigs={}, __all__=['BackendConfigs'])
        sys.modules[_TABLES] = module


ENTRY = Entry(
    name='mmrazor_quantization',
    packages=('mmrazor',),
    versions='==1.0.*',
    attributes={_TABLES: None},
    why='mmrazor imports quantisation tables that only torch 1.13 can read',
    until='an mmrazor that imports on torch >= 2.6',
    patch=stub_tables,
)
