"""Errors that a user can do something about."""


class UserError(Exception):
    """A fault in the input, the settings or the environment, not in the program.

    The message is all that the user sees, without a traceback: it says what is wrong, where, why, and
    what to do.
    """


class VideoError(Exception):
    """A video that cannot be used. The message is the reason in words, fit for a table.

    It never stops a part or a submission: whoever reads the video turns it into a row with a status.
    """
