"""Where a script's words go: a log file that is never empty, and the terminal."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from joulebench.errors import UserError


@contextmanager
def journal(path: Path | str, what: str) -> Iterator[None]:
    """Log to `path` and to standard error; a UserError is printed as it is and ends the process with code 1.

    An interruption ends it with the signal's usual code and no traceback.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    handlers: list[logging.Handler] = [logging.FileHandler(path, mode="w"), logging.StreamHandler()]
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        root.addHandler(handler)
    for noisy in ("httpx", "huggingface_hub", "filelock", "zeus", "codecarbon"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    quiet_libraries()
    log = logging.getLogger(__name__)
    log.info("%s: begins", what)
    try:
        yield
    except UserError as error:
        log.error("%s: %s", what, error)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as error:
        log.error("%s: interrupted; the same command goes on from what is whole", what)
        sys.exit(error.code if isinstance(error, SystemExit) else 128 + signal.SIGINT)
    except Exception:
        log.exception("%s: broke off", what)
        raise
    else:
        log.info("%s: done", what)
    finally:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def quiet_libraries() -> None:
    """Progress bars and advice of the model libraries belong to nobody's log, unless the environment wants them."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
