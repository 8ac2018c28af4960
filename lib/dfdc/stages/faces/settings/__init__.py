"""Settings for tracking and for alignment, in separate modules so that a change affects only its own stage."""
