"""Figures and pictures, for the report and for ``dfdc score``."""
