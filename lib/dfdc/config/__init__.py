"""Read, check and compare settings."""
