"""Tests of mmkd_sod.report."""
