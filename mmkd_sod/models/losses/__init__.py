"""Distillation and task losses: plain modules that see tensors only."""
