"""The measuring process's side of the sampler: start it, watch it, take what it wrote, end it."""

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import polars as pl

from joulebench.errors import UserError
from joulebench.meters import METERS, known
from joulebench.meters.following import Following, Now, latest
from joulebench.records.schemas import ENERGY
from joulebench.records.sources import counted

FILE_NAME = "sampler.csv"
ERRORS_NAME = "sampler.stderr"
CHECK_S = 0.2
TAIL_BYTES = 1 << 17
"""The end of the file that is looked at for the latest readings: over a second of eight GPUs."""


class SamplerError(UserError):
    """The sampler failed, so what was being measured cannot be used."""


class Sampling:
    """A running sampler process. Times are absolute seconds of time.monotonic().

    with Sampling.start(choose("cpu").meters, folder) as sampling:
        begin = time.monotonic()
        ...                                  # call sampling.check() now and then
        energy = sampling.since(begin, time.monotonic())
    """

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path, silence_s: float, stop_timeout_s: float):
        self.sources: dict[str, str | None] = {}
        """Device -> source of its energy, null where nothing measures it."""
        self._process = process
        self._file = folder / FILE_NAME
        self._errors = folder / ERRORS_NAME
        self._silence_s = silence_s
        self._stop_timeout_s = stop_timeout_s
        self._stopped = False
        self._checked_s = self._grew_s = time.monotonic()
        self._size = 0

    @classmethod
    def start(
        cls,
        meters: Sequence[str],
        folder: Path,
        *,
        start_timeout_s: float = 60.0,
        silence_s: float | None = None,
        stop_timeout_s: float = 5.0,
    ) -> "Sampling":
        """Start the sampler and wait until every meter has given a reading.

        Its files lie in `folder`, which one sampling at a time may use. `silence_s` without a reading make a
        measurement void; by default 2 s, or 10 intervals of the slowest meter where that is more.
        Raises SamplerError when a meter fails at the start, or does not answer in `start_timeout_s`.
        """
        if silence_s is None:
            silence_s = max(2.0, 10 * max(METERS[name].INTERVAL_S for name in known(meters)))
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "joulebench.meters.sampler", "--meters", ",".join(known(meters))]
        command += ["--out", str(folder / FILE_NAME), "--engine-pid", str(os.getpid())]
        told = {key: value for name in meters for key, value in getattr(METERS[name], "handed_over", dict)().items()}
        with (folder / ERRORS_NAME).open("wb") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=os.environ | told,
            )
        sampling = cls(process, folder, silence_s, stop_timeout_s)
        try:
            sampling._wait_until_ready(start_timeout_s)
        except BaseException:
            sampling.stop()
            raise
        return sampling

    def __enter__(self) -> "Sampling":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The sampler's process, which leads a process group of its own."""
        return self._process.pid

    def check(self) -> None:
        """Raise SamplerError if the sampler has ended or fallen silent. Cheap enough for every iteration."""
        now = time.monotonic()
        if now - self._checked_s < CHECK_S:
            return
        self._checked_s = now
        if (end := self._end()) is not None:
            raise SamplerError(f"the energy sampler {end}; the measurement is void and the run fails")
        try:
            size = self._file.stat().st_size
        except OSError as error:
            raise SamplerError(f"{self._file}: the energy sampler's file is gone ({error.strerror})") from None
        if size != self._size:
            self._size, self._grew_s = size, now
        elif now - self._grew_s > self._silence_s:
            raise SamplerError(
                f"the energy sampler has given no reading for {now - self._grew_s:.1f} s, expected one every "
                f"{self._silence_s:g} s at least; the measurement is void and the run fails"
            )

    def follow(self) -> Following:
        """The energy of the headline devices from about now on, to be looked at again and again."""
        return Following(self._file, self.sources, TAIL_BYTES)

    def now(self) -> Now:
        """What a person who watches may be told."""
        return latest(self._tail(), counted(self.sources).headline)

    def since(self, start: float, end: float, margin_s: float = 1.0) -> pl.DataFrame:
        """The readings from `start` to `end`, in the schema `records.ENERGY`, with times relative to `start`.

        Readings within `margin_s` of the stretch come along, and for each device one before and one after it at
        least. Waits until each device has been read after `end`, and its energy has moved since or 1 s has passed.
        Raises SamplerError if the sampler fails meanwhile, if it left a gap in the stretch, or if a device's
        energy stood still throughout.
        """
        self._wait_past(end)
        time_s = pl.col("time_s")
        frame = self._readings(self._whole()).with_columns(
            before_s=time_s.shift(1).over("device"), after_s=time_s.shift(-1).over("device")
        )
        self._refuse_gaps(frame, start, end)
        self._refuse_standstill(frame.filter(time_s.is_between(start, end)))
        near = time_s.is_between(start - margin_s, end + margin_s)
        astride = ((time_s < start) & (pl.col("after_s") >= start)) | ((time_s > end) & (pl.col("before_s") <= end))
        return frame.filter(near | astride).with_columns(time_s - start).select(ENERGY.names())

    def stop(self) -> None:
        """End the sampler and every process of its meters, and remove its files. Safe to call twice."""
        if self._stopped:
            return
        self._stopped = True
        for number in (signal.SIGTERM, signal.SIGCONT):
            os.killpg(self.pid, number)  # the sampler is not reaped yet, so that the group cannot be another's
        give_up_s = time.monotonic() + self._stop_timeout_s
        while self._result() is None and time.monotonic() < give_up_s:
            time.sleep(0.01)
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        give_up_s = time.monotonic() + 1.0
        while self._has_group() and time.monotonic() < give_up_s:
            time.sleep(0.01)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._file.unlink(missing_ok=True)
        self._errors.unlink(missing_ok=True)

    def _wait_until_ready(self, timeout_s: float) -> None:
        assert self._process.stdout is not None
        ready = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        if not poll.poll(timeout_s * 1e3):
            raise SamplerError(f"the energy sampler gave no first reading within {timeout_s:g} s{self._last_words()}")
        line = os.read(ready, 1 << 16)
        if not line:
            while self._result() is None:
                time.sleep(0.01)
            raise SamplerError(f"the energy sampler could not start: it {self._end()}")
        self.sources = json.loads(line)
        self._grew_s = time.monotonic()

    def _result(self) -> os.waitid_result | None:
        """How the sampler ended; it is not reaped here, so its number still names its group in `stop`."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def _has_group(self) -> bool:
        """Whether processes of the meters, killed already, are still on their way out."""
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _end(self) -> str | None:
        if self._stopped:
            return "was stopped"
        if (result := self._result()) is None:
            return None
        how = "ended with code" if result.si_code == os.CLD_EXITED else "was killed by signal"
        return f"{how} {result.si_status}{self._last_words()}"

    def _last_words(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return f" ({said[-1]})" if said else ""

    def _wait_past(self, end: float) -> None:
        give_up_s = max(time.monotonic(), end) + 1.0 + self._silence_s
        while waiting := self._not_past(end):
            self.check()
            if time.monotonic() > give_up_s:
                raise SamplerError(
                    f"the energy sampler has stopped reading {', '.join(waiting)}; "
                    "the measurement is void and the run fails"
                )
            time.sleep(0.02)

    def _not_past(self, end: float) -> list[str]:
        """Devices whose readings do not reach beyond `end` yet."""
        frame = self._readings(self._tail())
        waiting = []
        for device, source in self.sources.items():
            times, energies = (frame.filter(device=device)[name] for name in ("time_s", "energy_j"))
            after = times > end
            if not after.any():
                waiting.append(device)
            elif source is not None and times[-1] < end + 1.0:
                before_j, after_j = energies.filter(~after).max(), energies.filter(after).max()
                if before_j is None or after_j == before_j:
                    waiting.append(device)
        return waiting

    def _refuse_gaps(self, frame: pl.DataFrame, start: float, end: float) -> None:
        for device in self.sources:
            times = frame.filter(device=device)
            if times["time_s"][0] > start:
                raise SamplerError(
                    f"the energy sampler began to read {device} {times['time_s'][0] - start:.2f} s after the "
                    "measurement began; the measurement is void and the run fails"
                )
            inside = times.filter((pl.col("time_s") > start) & (pl.col("before_s") <= end))
            gap_s = float((inside["time_s"] - inside["before_s"]).max())  # type: ignore[arg-type]
            if gap_s > self._silence_s:
                raise SamplerError(
                    f"the energy sampler did not read {device} for {gap_s:.1f} s, expected a reading every "
                    f"{self._silence_s:g} s at least; the measurement is void and the run fails"
                )

    def _refuse_standstill(self, inside: pl.DataFrame) -> None:
        """A counter that does not move, as some virtual machines have it, is no measurement of 0 J."""
        for device, source in self.sources.items():
            rows = inside.filter(device=device)
            if source is None or rows.is_empty():
                continue
            span_s = rows["time_s"][-1] - rows["time_s"][0]
            if span_s >= 2.0 and rows["energy_j"][-1] == rows["energy_j"][0]:
                raise SamplerError(
                    f"the energy of {device} ({source}) did not move in {span_s:.1f} s; the source does not measure "
                    "here, so leave it out with JOULEBENCH_METERS"
                )

    def _readings(self, lines: bytes) -> pl.DataFrame:
        if not lines:
            return ENERGY.to_frame()
        return pl.read_csv(io.BytesIO(lines), has_header=False, schema=ENERGY)

    def _whole(self) -> bytes:
        """The lines of readings; a last line that is not complete yet is left out."""
        text = self._file.read_bytes()
        return text[text.index(b"\n") + 1 : text.rindex(b"\n") + 1]

    def _tail(self) -> bytes:
        with self._file.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read()
        return text[text.find(b"\n") + 1 : text.rfind(b"\n") + 1]
