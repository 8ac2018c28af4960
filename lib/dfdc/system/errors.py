"""Exceptions for errors in the user's input."""


class UserError(Exception):
    """An error in the input, the settings or the environment, not in the program.

    The user sees only the message, without a traceback: it says what is wrong, where, why, and how to fix it.
    """


class VideoError(Exception):
    """A video that cannot be used. The message is the reason that is recorded in a table.

    It never stops a part or a submission: callers record it as a row with a status.
    """
