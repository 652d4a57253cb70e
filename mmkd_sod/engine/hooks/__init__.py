"""Hooks."""
from .epoch_schedule_hook import EpochScheduleHook
from .hkd_schedule_hook import HKDScheduleHook

__all__ = [
    'EpochScheduleHook', 'HKDScheduleHook'
]
