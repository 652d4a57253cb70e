"""Hooks."""
from .epoch_schedule_hook import EpochScheduleHook
from .step_seed_hook import StepSeedHook

__all__ = ['EpochScheduleHook', 'StepSeedHook']
