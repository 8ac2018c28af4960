"""DSFD, the face detector of the published system, for users who have its weights."""

from dfdc.detection.dsfd.detector import DSFDDetector

__all__ = ["DSFDDetector"]
