"""The presets of services, and what a config may call its own."""

import re
from typing import Any

import pytest

from joulebench.config.services import SERVICES, services_of
from joulebench.inputs.checked import ConfigError
from joulebench.plan import Plan, plan
from joulebench.tables.schemas import POINTS


def limits(name: str) -> dict[str, float]:
    return {limit.column: limit.at_most_s for limit in SERVICES[name].at_most}


def test_presets_are_as_their_sources_say() -> None:
    # TTFT and TPOT in ms, as LoadGen's mlperf.conf has them.
    published = {
        "llama3.1-8b": (2000, 100),
        "llama3.1-8b-interactive": (500, 30),
        "llama2-70b": (2000, 200),
        "llama2-70b-interactive": (450, 40),
        "mixtral-8x7b": (2000, 200),
        "llama3.1-405b": (6000, 175),
        "llama3.1-405b-interactive": (4500, 80),
        "deepseek-r1": (2000, 80),
        "deepseek-r1-interactive": (1500, 15),
    }
    for name, (ttft_ms, tpot_ms) in published.items():
        assert limits(f"mlperf-{name}") == pytest.approx(
            {"submission_ttft_p99_s": ttft_ms / 1000, "tpot_p99_s": tpot_ms / 1000}
        )
    assert limits("mlperf-sdxl") == {"latency_p99_s": 20.0}
    assert set(SERVICES) == {"mlperf-sdxl", *(f"mlperf-{name}" for name in published)}


@pytest.mark.parametrize("name", SERVICES)
def test_a_preset_is_about_columns_that_there_are_and_names_its_source(name: str) -> None:
    service = SERVICES[name]
    assert all(limit.column in POINTS for limit in service.at_most)
    assert service.source
    assert re.match(r"MLPerf Inference v(5\.0|5\.1|6\.0), ", service.source)


def test_a_config_may_add_services_and_replace_presets(raw: dict[str, Any]) -> None:
    at_most = [{"metric": "ttft", "quantile": 95, "at_most_s": 1}]
    raw["services"] = {name: {"tasks": ["llm-chat"], "at_most": at_most} for name in ("mine", "mlperf-sdxl")}
    services = services_of(plan(raw).plain_services)
    assert list(services) == [*SERVICES, "mine"]
    assert str(services["mlperf-sdxl"].at_most[0]) == "ttft_p95_s <= 1"
    assert services["mine"].tasks == ("llm-chat",)


def test_what_changes_the_choices_is_in_their_digest(raw: dict[str, Any]) -> None:
    def changed(**more: Any) -> bool:
        return plan(raw | more).choices("cpu") != before

    before = plan(raw).choices("cpu")
    assert changed(publish_flagged=True)
    assert changed(services={"mine": {"tasks": ["llm-chat"], "at_most": [{"metric": "itl", "at_most_s": 1}]}})
    assert not changed(repeats=3)
    raw["tasks"]["llm-chat"]["latency_target"]["at_most_s"] = 0.1
    assert changed()


def test_all_asks_for_the_tables_of_choices(raw: dict[str, Any]) -> None:
    made: Plan = plan(raw | {"measure_on": ["cpu", "h100"]})
    for hardware in ("cpu", "h100"):
        assert {f"results/{hardware}/{name}.csv" for name in ("pareto", "recommendations")} < set(made.targets())


def test_a_service_is_not_called_as_the_tasks_own_targets_are(raw: dict[str, Any]) -> None:
    raw["services"] = {"config": {"tasks": ["llm-chat"], "at_most": [{"metric": "itl", "at_most_s": 1}]}}
    with pytest.raises(ConfigError, match="'config' is what the tasks' own latency targets are called"):
        plan(raw)
