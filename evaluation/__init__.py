"""Judging and showing a night: statistics, metrics, plots, reports, exports."""
