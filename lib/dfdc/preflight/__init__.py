"""What would stop or slow a run, found out before it starts: by ``dfdc doctor``, and the inputs by every run."""
