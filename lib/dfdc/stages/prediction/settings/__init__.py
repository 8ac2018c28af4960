"""Settings for prediction, in separate modules so that a change affects only its own stage."""
