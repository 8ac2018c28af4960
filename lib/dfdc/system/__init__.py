"""Infrastructure that does not affect results: files, processes, progress, logging. Nothing here is part of the code
hash that makes jobs run again (``jobs.provenance``).
"""
