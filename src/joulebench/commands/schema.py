"""Print the JSON schema of config.yaml, for editors."""

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(words: argparse.Namespace) -> int:
    from joulebench.config.schema import json_schema

    print(json_schema(), end="")
    return 0
