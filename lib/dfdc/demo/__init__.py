"""A small data set in DFDC's layout, made of real faces, for demonstrations and tests."""
