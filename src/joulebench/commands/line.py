"""The words of the command line, and how each command ends."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final, Protocol, cast

from joulebench import __version__
from joulebench.commands import compare, doctor, probe, publish, schema
from joulebench.errors import UserError

OLDEST = (3, 11)


class Command(Protocol):
    """One module beside this one. The first line of its text is its help."""

    __doc__: str | None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what the command takes."""

    def run(self, words: argparse.Namespace) -> int:
        """Do it, and return the exit code. Raises UserError for what a person can mend."""


COMMANDS: Final = {
    "doctor": cast(Command, doctor),
    "probe": cast(Command, probe),
    "compare": cast(Command, compare),
    "schema": cast(Command, schema),
    "publish": cast(Command, publish),
}


def parser() -> argparse.ArgumentParser:
    """What `joulebench --help` and the reference page show."""
    made = argparse.ArgumentParser(
        prog="joulebench",
        description="Joulebench: energy of generative-AI inference, measured. Tables and figures are files: "
        "snakemake --cores all FILE makes them. What is not a file is a command here.",
    )
    made.add_argument("--version", action="version", version=f"joulebench {__version__}")
    parts = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        first, _, rest = (command.__doc__ or "").partition("\n")
        part = parts.add_parser(
            name,
            help=first.rstrip("."),
            description=f"{first}\n{rest}".strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.arguments(part)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code is 1 where it ends with a UserError, whose one line goes to standard error."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        print(f"joulebench: needs Python 3.11 or newer, found {found}", file=sys.stderr)
        return 1
    words = parser().parse_args(argv)
    try:
        code = COMMANDS[words.command].run(words)
        sys.stdout.flush()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "joulebench":
            raise
        print(f"joulebench {words.command}: needs the package {missing}; see joulebench doctor", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read it, as `head` does, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
