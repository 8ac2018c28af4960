"""The table schemas of the workflow, one module per stage."""
