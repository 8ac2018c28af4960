"""Figures and contact sheets for the report and for ``dfdc score``."""
