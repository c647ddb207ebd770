"""Scripts of the project without the seconds that their imports take: `warm/server.py` has them imported already.

For tests whose point is what scripts do, not how their processes start and end.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WARM = Path(__file__).with_name("warm")


def search_path(source: Path) -> str:
    """PYTHONPATH of a project whose scripts may run in the server."""
    return os.pathsep.join((str(source), str(WARM)))


@contextmanager
def serving() -> Iterator[None]:
    """The server serves whatever this process starts with `search_path`, in the environment of now."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        address = str(Path(folder, "socket"))
        command = [sys.executable, str(WARM / "server.py"), address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            assert server.stdout is not None
            try:
                assert server.stdout.readline() == b"ready\n"
                os.environ["JOULEBENCH_TESTS_WARM"] = address
                yield
            finally:
                os.environ.pop("JOULEBENCH_TESTS_WARM", None)
                server.terminate()
