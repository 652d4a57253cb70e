"""Hooks."""
from .epoch_schedule_hook import EpochScheduleHook
from .panel_hook import PanelHook

__all__ = ['EpochScheduleHook', 'PanelHook']
