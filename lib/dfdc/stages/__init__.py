"""The stages of the workflow, from videos to the evaluation. A package imports only from those before it in this
order: ``faces``, ``clips``, ``prediction``, ``evaluation``, ``training``.
"""
