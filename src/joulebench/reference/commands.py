"""The command `joulebench`, the targets of make, and those of Snakemake that are not files."""

import argparse
import re
from pathlib import Path

from joulebench.commands.line import COMMANDS
from joulebench.reference.tables import table

MAKEFILE = Path(__file__).parents[3] / "Makefile"

_BEFORE = """# Commands

What is a file is made by Snakemake: `snakemake --cores all FILE`. The files are listed in
[What comes out](../files.md). What is no file is a command here.

This page is made from the code: `python -m joulebench.reference commands > docs/reference/commands.md`.

## joulebench

`joulebench COMMAND --help` says the same. Where the package is not installed, write `python -m joulebench`.
"""

_SNAKEMAKE = """
## Snakemake

| command | what it does |
|---|---|
| `snakemake --cores all` | everything of the hardware under `measure_on` |
| `snakemake --cores all FILE` | one file, and what it needs |
| `snakemake --cores all fetch` | all that needs a network, and nothing else |
| `snakemake --cores all FILE --configfile config/tiny.yaml` | the same with another config |
| `snakemake --cores all FILE --config 'measure_on=[h100]'` | the same with another value of a key |
| `snakemake --cores all FILE --forcerun measure` | measure again what is there |
| `snakemake --dry-run FILE` | say what would be done, and do nothing |
| `snakemake --workflow-profile slurm FILE` | measure through Slurm: [On a cluster](../cluster.md) |
"""


def markdown() -> str:
    parts = [_BEFORE]
    for name, command in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"joulebench {name}")
        command.arguments(parser)
        # The list of its arguments is argparse's own, which has no public name for it.
        actions = [one for one in parser._actions if one.dest != "help"]
        first, _, rest = (command.__doc__ or "").partition("\n")
        parts.append(f"\n### joulebench {name}\n\n{first}\n{rest}".rstrip() + "\n")
        if actions:
            parts.append(
                "\n" + table(("argument", "meaning"), [(f"`{_shown(one)}`", one.help or "") for one in actions])
            )
    parts += ["\n## make\n\n", table(("command", "what it does"), _targets()), _SNAKEMAKE]
    return "".join(parts)


def _shown(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if not action.option_strings:
        return f"[{value}]" if action.nargs == "?" else value
    return action.option_strings[0] + ("" if action.nargs == 0 else f" {value}")


def _targets() -> list[tuple[str, str]]:
    """Those that the head of the Makefile lists."""
    head = MAKEFILE.read_text(encoding="utf-8").partition("\n\n")[0]
    return [(f"`{name}`", what) for name, what in re.findall(r"^# (make .+?)  +(.+)$", head, re.MULTILINE)]
