"""A pytest plugin that hides ``mmkd_sod/models/acceleration``.

python -m pytest -p tests.without_acceleration tests/test_models/test_algorithms
"""

import sys

from tests.hidden_modules import HiddenModules

sys.meta_path.insert(0, HiddenModules('mmkd_sod.models.acceleration'))
