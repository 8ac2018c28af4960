"""Scored videos as HTML: a page for each, and an index."""
