"""How good the scores are: measures with intervals, calibration, validation clips."""
