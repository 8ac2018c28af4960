"""Face detection in videos, with a common interface for all detectors."""
