"""What the config needs: its hardware, engines' environments, datasets, fonts, and room on the disk."""

import ctypes.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from joulebench.doctor import packages
from joulebench.doctor.finding import Finding, missing, note, ok

if TYPE_CHECKING:
    from joulebench.config import Config

FEW_GB = 10.0
"""Free space below which an environment and one model may not fit: .venv takes 3.1 GB with torch for the CPU, and a
checkpoint of 8 B parameters 16 GB in two bytes each."""
FONTS: Final = ("JoulebenchSans-Regular.ttf", "JoulebenchSans-Bold.ttf")


def look(root: Path, file: Path) -> Iterator[Finding]:
    """Of the project in `root`, whose config is `file`."""
    try:
        from joulebench.config import load
        from joulebench.errors import UserError
    except ImportError as error:
        yield missing(f"{file}: not read ({error})", "make leaderboard")
    else:
        try:
            config = load(root / file)
        except UserError as error:
            yield missing(str(error).splitlines()[0], "mend the config, or name another: --config FILE")
        else:
            yield ok(f"{file}: {len(config.models)} models, hardware {', '.join(config.hardware)}")
            yield from _hardware(config)
            yield from _engines(root, config)
            yield from _data(root, config)
    yield _fonts()
    yield _sandbox()
    yield _token()
    yield _disk(root)


def _hardware(config: "Config") -> Iterator[Finding]:
    """Which of the config's hardware this machine is."""
    from joulebench.errors import UserError
    from joulebench.meters.machine import probe, require

    fits = []
    for name, wanted in config.hardware.items():
        try:
            machine = probe(wanted.device, hardware_name=name, reports_as=wanted.reports_as)
            require(machine, name, wanted.device, wanted.reports_as, wanted.server_processes)
        except UserError:
            continue
        fits.append(name)
    if fits:
        yield ok(f"hardware of the config that this machine is: {', '.join(fits)}")
    else:
        yield note("this machine is none of the hardware of the config", "describe it under hardware: and matrix:")


def _engines(root: Path, config: "Config") -> Iterator[Finding]:
    own = {(engine.kind, engine.python) for engine in config.engines.values() if engine.python is not None}
    for kind, python in sorted(own):
        yield packages.of_engine(root, kind, python)


def _data(root: Path, config: "Config") -> Iterator[Finding]:
    """The files of this machine that prompts are sampled from, with the prompts that need each."""
    wanted: dict[str, list[str]] = {}
    for name, (dataset, _) in config.prompts.items():
        for source in (dataset.source, dataset.media):
            path = getattr(source, "path", None)
            if path is not None:
                wanted.setdefault(path, []).append(name)
    there = {path for path in wanted if (root / Path(path).expanduser()).exists()}
    for found in (True, False):
        paths = [f"{path} ({', '.join(names)})" for path, names in wanted.items() if (path in there) is found]
        if paths and found:
            yield ok(f"datasets: {', '.join(paths)}")
        elif paths:
            yield note(
                f"datasets that are not there: {', '.join(paths)}",
                "nothing with a network: they are fetched, but for what docs/datasets.md names as by hand",
            )


def _fonts() -> Finding:
    folder = Path(__file__).parents[1] / "figures" / "fonts"
    if gone := [name for name in FONTS if not (folder / name).is_file()]:
        return missing(f"the figures' fonts: no {', '.join(gone)} in {folder}", "install the project again")
    return ok("the figures' own fonts are there")


def _sandbox() -> Finding:
    if ctypes.util.find_library("seccomp") is None:
        return note("no libseccomp, without which no answer that is code is run", "sudo apt install libseccomp2")
    return ok("libseccomp, for the sandbox of answers that are code")


def _token() -> Finding:
    if os.environ.get("HF_TOKEN", "").strip():
        return ok("HF_TOKEN is set (its value was not looked at)")
    return note("HF_TOKEN is not set", "nothing, unless you fetch gated models or publish")


def _disk(root: Path) -> Finding:
    free_gb = shutil.disk_usage(root).free / 1e9
    said = f"{free_gb:.0f} GB free where results/ lies"
    return note(said, "make room: environments and models take several GB each") if free_gb < FEW_GB else ok(said)
