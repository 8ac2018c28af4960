"""Checks for problems that would stop or slow a run: ``dfdc doctor``, and the checks of inputs before every run."""
