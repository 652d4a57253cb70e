"""Hooks."""
from .epoch_schedule_hook import EpochScheduleHook

__all__ = ['EpochScheduleHook']
