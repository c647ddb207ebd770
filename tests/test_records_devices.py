"""Which devices count: of the GPUs, of their host, and where two sources tell of one processor."""

import pytest

from joulebench.errors import UserError
from joulebench.records.sources import Counted, counted

RAPL = {"cpu:0": "rapl", "cpu:1": "rapl", "dram:0": "rapl"}
ESTIMATE = {"host": "codecarbon_estimate"}
GPUS = {"gpu:0": "nvml_counter", "gpu:1": "nvml_power"}


@pytest.mark.parametrize(
    ("sources", "headline", "host"),
    [
        (GPUS, ("gpu:0", "gpu:1"), ()),
        (GPUS | RAPL, ("gpu:0", "gpu:1"), ("cpu:0", "cpu:1", "dram:0")),
        (RAPL | GPUS | ESTIMATE, ("gpu:0", "gpu:1"), ("cpu:0", "cpu:1", "dram:0")),
        (RAPL, ("cpu:0", "cpu:1", "dram:0"), ()),
        (ESTIMATE, ("host",), ()),
        (RAPL | ESTIMATE, ("cpu:0", "cpu:1", "dram:0"), ()),
        (ESTIMATE | RAPL, ("cpu:0", "cpu:1", "dram:0"), ()),
        ({"host": None}, ("host",), ()),
        ({"gpu:0": None} | RAPL, ("gpu:0",), ("cpu:0", "cpu:1", "dram:0")),
        ({"cpu:0": "rapl", "dram:0": None}, ("cpu:0", "dram:0"), ()),  # no sum without one of its parts
        ({"cpu:0": "a new one"} | ESTIMATE, ("host",), ()),
        ({}, (), ()),
    ],
)
def test_what_counts(sources: dict[str, str | None], headline: tuple[str, ...], host: tuple[str, ...]) -> None:
    assert counted(sources) == Counted(headline, host)


@pytest.mark.parametrize("device", ["psys", "gpu", "gpu:x", "gpu:0 ", "", "hosts", "wall:0"])
def test_a_device_of_no_known_kind_is_refused(device: str) -> None:
    with pytest.raises(UserError, match=f"energy of a device '{device}'; expected gpu:N, cpu:N, dram:N or host"):
        counted({device: "rapl"} | RAPL)
