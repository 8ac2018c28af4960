"""Settings for cutting and for pairing clips, in separate modules so that a change affects only its own stage."""
