"""Hooks."""

from .epoch_schedule_hook import EpochScheduleHook
from .finite_loss_hook import FiniteLossHook
from .label_range_hook import LabelRangeHook
from .panel_hook import PanelHook
from .run_state_hook import RunStateHook
from .shared_memory_hook import SharedMemoryHook
from .step_seed_hook import StepSeedHook

__all__ = [
    'EpochScheduleHook',
    'FiniteLossHook',
    'LabelRangeHook',
    'PanelHook',
    'RunStateHook',
    'SharedMemoryHook',
    'StepSeedHook',
]
