"""A small dataset in DFDC's layout, made from real faces, for demonstrations and tests."""
