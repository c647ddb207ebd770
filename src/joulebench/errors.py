"""The one error that people are meant to read."""


class UserError(Exception):
    """Something a person can mend: what was found, what was expected, what to do.

    The scripts print its message as it is, without a traceback, and exit with code 1.
    """

    def __str__(self) -> str:
        return "\n".join(printable(line) for line in super().__str__().split("\n"))


def in_one_line(error: BaseException, most: int = 200) -> str:
    """What an error of a library says, in one line of `most` characters; its kind where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def printable(text: str) -> str:
    """`text` with what a terminal would obey, or cannot show, as Python escapes it."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
