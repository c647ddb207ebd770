"""The studies as the page carries them."""

from typing import Any

import pytest
from building import RESULTS, interval, point_row, table_of
from test_site import HOSTILE, MEGABYTE, Elements, carried, points, whole

from joulebench import site
from joulebench.analysis.study import with_intervals
from joulebench.site.studies import Study, Unfinished, as_carried
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import CLAIMS, STUDY


def at_once(requests: int, joules: float | None, **changes: object) -> dict[str, object]:
    """A point of `requests` at once, of answers of 20 tokens: all of it, and 1 J less in its steady part."""
    steady = None if joules is None else joules - 1
    facts: dict[str, object] = {
        **{"load": "at-once", "axis": "requests", "requests": requests, "setting": f"n{requests}-b8"},
        **{"response_output_tokens": 20.0, "responses_per_s": 3.0, "study_energy_per_response_j": joules},
        **{"whole_energy_per_response_j": joules, "steady_energy_per_response_j": steady},
        **interval("energy_per_response_j", steady),
    }
    return point_row(**facts | changes)


def of_length(tokens: int, joules: float, **changes: object) -> dict[str, object]:
    """A point of a closed loop with answers of so many tokens."""
    facts: dict[str, object] = {
        **{"load": "closed-loop", "axis": "output_tokens", "output_tokens": tokens, "setting": f"b8-o{tokens}"},
        **{"response_output_tokens": float(tokens), "responses_per_s": 3.0, "study_energy_per_response_j": joules},
        **interval("energy_per_response_j", joules),
        **interval("energy_per_output_token_j", joules / tokens),
        **interval("prefill_energy_per_token_j", 0.5),
        **interval("energy_per_input_token_j", joules / 10),
    }
    return point_row(**facts | changes)


def made(*rows: dict[str, object], name: str = "a-study", **changes: Any) -> Study:
    return Study("h100", name, "what it costs", table_of(STUDY, *rows), **changes)


def rows_of(study: Study) -> list[dict[str, Any]]:
    table = as_carried(study)["points"]
    known = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    return [dict.fromkeys(table["absent"]) | row for row in known]


def test_the_interval_is_that_of_the_figure_and_a_whole_has_none() -> None:
    found = with_intervals(table_of(STUDY, at_once(4, 100.0), of_length(50, 200.0))).to_dicts()
    response, token = "study_energy_per_response", "study_energy_per_output_token"
    ends = [[row[f"{name}_{end}_j"] for end in ("low", "high")] for row in found for name in (response, token)]
    assert ends[:2] == [[None, None], [None, None]]
    assert ends[2] == pytest.approx([180.0, 220.0])
    assert ends[3] == pytest.approx([3.6, 4.4])
    assert [row[f"{token}_j"] for row in found] == [5.0, 4.0]  # 100 J / 20, 200 J / 50


def test_repeats_of_a_whole_give_it_an_interval() -> None:
    [row] = rows_of(made(at_once(4, 10.0), at_once(4, 14.0, repeat=2)))
    # Mean 12, s = sqrt(8), t(0.975, 1) = 12.7062: 12 +- 12.7062 x 2.82843 / 1.41421
    ends = [row[f"study_energy_per_response{end}_j"] for end in ("_low", "", "_high")]
    assert ends == pytest.approx([-13.4124, 12.0, 37.4124])
    assert row["repeats"] == 2


def test_every_point_is_there_with_how_far_its_figures_count() -> None:
    no_window = {"verdict": "invalid: no stationary window", "responses_per_s": None}
    points_ = (
        at_once(1, 50.0),
        at_once(2, 40.0, verdict="flagged: short window (2 s, at least 10 s)"),
        at_once(4, 30.0, **no_window),
        at_once(8, 20.0, verdict="invalid: others on the GPU (0.4, at most 0.05)"),
        at_once(16, None, status="out_of_memory", verdict="invalid: out_of_memory: too big", responses_per_s=None),
        at_once(32, 10.0, verdict=None),
    )
    rows = rows_of(made(*points_))
    assert [row["requests"] for row in rows] == [1, 2, 4, 8, 16, 32]
    assert [row["standing"] for row in rows] == ["valid", "flagged", "whole", "void", "void", "void"]
    assert rows[1]["flagged_for"] == "short window (2 s, at least 10 s)"


def test_the_line_with_the_most_energy_comes_first_along_what_varies() -> None:
    rows = rows_of(made(*(of_length(n, n * j, variant=v) for v, j in (("a", 1.0), (None, 2.0)) for n in (64, 1, 8))))
    assert [(row["variant"], row["output_tokens"]) for row in rows] == [
        *((None, 1), (None, 8), (None, 64)),
        *(("a", 1), ("a", 8), ("a", 64)),
    ]


def test_what_may_be_drawn_is_what_is_known() -> None:
    keys = [key for key, _ in as_carried(made(of_length(1, 5.0), of_length(8, 9.0)))["measures"]]
    assert keys == ["response", "token", "prompt", "input"]
    whole_ = at_once(4, 10.0, **interval("energy_per_input_token_j", 1.0))
    assert [key for key, _ in as_carried(made(whole_))["measures"]] == ["response", "token"]
    assert as_carried(made(at_once(4, None)))["measures"] == []


def test_a_point_knows_how_far_that_of_one_token_counts() -> None:
    flagged = of_length(1, 5.0, verdict="flagged: drift (4, at most 3)", variant="a")
    rows = rows_of(made(flagged, of_length(8, 20.0, variant="a"), of_length(8, 19.0)))
    assert [(row["variant"], row["output_tokens"], row["first_standing"]) for row in rows] == [
        *(("a", 1, "flagged"), ("a", 8, "flagged")),
        (None, 8, None),
    ]


def test_nothing_that_is_no_number_is_carried() -> None:
    [row] = rows_of(made(of_length(8, float("nan"), power_w=float("inf"))))
    assert (row["study_energy_per_response_j"], row["power_w"], row["standing"]) == (None, None, "void")


@pytest.mark.slow
def test_the_page_has_the_studies_in_order_with_what_is_claimed_and_what_is_unfinished() -> None:
    claim = table_of(CLAIMS, {"claim": "B 2 saves", "study": "b", "claimed_ratio": 0.5, "verdict": "held"})
    studies = (made(at_once(4, 10.0), name="b", claims=claim), made(of_length(8, 9.0, energy_source="rapl"), name="a"))
    left = Unfinished("h100", "c", "llm-chat", 2, 7)
    document = carried(site.page({"h100": whole(points(["a/b"]))}, studies=studies, unfinished=(left,)))
    found: Any = document["studies"]
    assert [(one["name"], one["hardware"], one["task"], one["asks"]) for one in found] == [
        ("b", "h100", "llm-chat", "what it costs"),
        ("a", "h100", "llm-chat", "what it costs"),
    ]
    assert [len(one["claims"]["rows"]) for one in found] == [1, 0]
    assert document["unfinished"] == [{"hardware": "h100", "name": "c", "task": "llm-chat", "there": 2, "runs": 7}]
    assert set(document["sources"]) == {"nvml_counter", "rapl"}  # type: ignore[call-overload]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_study_changes_no_element_of_the_page(name: str) -> None:
    tables = {"h100": whole(points(["a/b"]))}
    claim = table_of(CLAIMS, {"claim": name, "study": name, "source": name, "reason": name})
    row = at_once(4, 10.0, model=name, variant=name, verdict=f"flagged: {name}", engine=name, load=name)
    study = Study(name, name, name, table_of(STUDY, row), claim)
    page = site.page(tables, studies=(study,), unfinished=(Unfinished(name, name, name, 1, 2),))
    assert [tag for tag, _ in Elements(page).tags] == [tag for tag, _ in Elements(site.page(tables)).tags]
    found: Any = carried(page)["studies"]
    assert found[0]["name"] == name


@pytest.mark.slow
def test_the_published_studies_add_less_than_a_fifth_of_a_megabyte() -> None:
    folder = RESULTS / "h100" / "studies"
    names = [path.stem for path in sorted(folder.glob("*.csv")) if "." not in path.stem and path.stem != "hpml-claims"]
    studies = [Study("h100", name, "?", read_csv(folder / f"{name}.csv", STUDY)) for name in names]
    assert len(names) > 10
    tables = {"h100": whole(points(["a/b"]))}
    assert len(site.page(tables, studies=studies)) - len(site.page(tables)) < 0.2 * MEGABYTE
