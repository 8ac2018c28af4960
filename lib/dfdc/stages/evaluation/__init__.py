"""Evaluation of scores: metrics with confidence intervals, calibration, validation clips."""
