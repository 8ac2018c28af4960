"""What decides no byte of a result: files, processes, progress, words. Nothing here is part of the code hash that makes
jobs run again (``jobs.provenance``).
"""
