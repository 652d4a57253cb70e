"""Hooks, checks before a run and helpers of the runner."""
