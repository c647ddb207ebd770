"""The one error that people are meant to read."""


class UserError(Exception):
    """Something a person can mend: what was found, what was expected, what to do.

    The scripts print its message as it is, without a traceback, and exit with code 1.
    """
