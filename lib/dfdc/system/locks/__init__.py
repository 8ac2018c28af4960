"""Locks that hold between machines, also on file systems where the kernel's locks (flock) only work within each one."""
