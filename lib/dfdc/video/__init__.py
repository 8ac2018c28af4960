"""Decoding and recompressing videos, and boxes in their frames."""
