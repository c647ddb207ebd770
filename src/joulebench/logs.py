"""Where a script's words go: a log file that is never empty, and the terminal. Neither ever fails what is logged."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from joulebench.errors import UserError

NO_NEWS = {
    "torchao": "Failed to load ",
    "torchao.kernel.intmm": "Warning: Detected no triton",
    "torch.utils._pytree": "Calling register_constant() on Enum subclasses is deprecated",
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit_forward from kernels-community",
}
"""Logger -> what it says of an installation that is as it should be: transformers imports torchao where it is there,
and no format that is served here needs its own CUDA libraries, Triton or the hub's kernels (engines.weight_formats)."""


@contextmanager
def journal(path: Path | str, what: str) -> Iterator[None]:
    """Log to `path` and to standard error; a UserError is printed as it is and ends the process with code 1.

    An interruption ends it with the signal's usual code and no traceback. Where the file or the terminal takes no more
    (a full disk, a closed pipe), the work goes on without.
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    handlers: list[logging.Handler] = [_Terminal()]
    unwritable = None
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(_File(path, mode="w"))
    except OSError as error:
        unwritable = error
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        root.addHandler(handler)
    for noisy in ("httpx", "huggingface_hub", "filelock", "zeus", "codecarbon"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    quiet_libraries()
    log = logging.getLogger(__name__)
    log.info("%s: begins", what)
    if unwritable is not None:
        log.warning("%s: cannot be written (%s); going on without this log", path, unwritable.strerror)
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


def beside(ending: str) -> Path | None:
    """A file beside the log that is being written, its last suffix replaced by `ending`; None where there is none."""
    files = (handler for handler in logging.getLogger().handlers if isinstance(handler, _File))
    return next((Path(one.baseFilename).with_suffix(ending) for one in files), None)


class _File(logging.FileHandler):
    """A log that says once on standard error why it takes no more, and is then no more written to."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._drop()
        logging.getLogger().removeHandler(self)
        logging.getLogger(__name__).warning(
            "%s: takes no more (%s); going on without this log", self.baseFilename, error.strerror
        )

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        """Close the stream, whatever it still holds: what a full disk did not take would fail here again."""
        stream, self.stream = self.stream, None  # FileHandler's own way to say closed
        if stream is not None:
            with suppress(OSError):
                stream.close()


class _Terminal(logging.StreamHandler):  # type: ignore[type-arg]
    """Standard error; once nobody reads it any more, what is written there goes nowhere, by whomever it is written."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())  # else Python ends with code 120 over what it could not write
            os.close(nowhere)


def quiet_libraries() -> None:
    """Progress bars and advice of the model libraries belong to nobody's log, unless the environment wants them."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    for name in NO_NEWS:
        logging.getLogger(name).addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return NO_NEWS[record.name] not in record.getMessage()
