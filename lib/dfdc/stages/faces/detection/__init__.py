"""Faces in videos: one interface for all detectors."""
