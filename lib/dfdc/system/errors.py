"""Exceptions for errors in the user's input."""


class UserError(Exception):
    """An error in the input, the settings or the environment, not in the program.

    The user sees only the message, without a traceback: it says what is wrong, where, why, and how to fix it.
    """


class Interrupted(UserError):
    """Work that was cut short from outside, by a signal for example, and may succeed if it is tried again."""


class OutOfMemory(Interrupted):
    """Work that was cut short because memory ran out."""


class VideoError(Exception):
    """A video that cannot be used. The message is the reason that is recorded in a table.

    It never stops a part or a submission: callers record it as a row with a status.
    """
