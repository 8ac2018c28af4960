"""The tables of the workflow, one module for each stage that writes some."""
