"""The leaderboard page as a file: what it carries, that names stay data, its size, and its policy."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from building import best_row, interval, point_row, table_of

from joulebench import site
from joulebench.config.services import LatencyTarget, Service
from joulebench.site import MODULES, STYLES
from joulebench.tables.columns import BOUNDS, QUANTILES
from joulebench.tables.point import LATENCIES
from joulebench.tables.schemas import FOOTPRINT, LEADERBOARD, PARETO, POINTS, QUALITY, RECOMMENDATIONS, TABLES

HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=1+cmd|'/c calc'!A1", "<!--data-->")
MEGABYTE = 10**6


def points(models: list[str], batches: int = 4, **changes: object) -> pl.DataFrame:
    """points.csv of sweeps in which a model's energy per response halves and its latency doubles at each step."""
    rows = []
    for place, model in enumerate(models):
        for step in range(batches):
            joules, seconds = 100.0 * (1 + place) / 2**step, 0.01 * (1 + place / 100) * 2**step
            row = point_row(
                model=model,
                parameters=10**9 * (1 + place),
                device="NVIDIA H100 80GB HBM3",
                engine="vllm",
                dtype="bfloat16",
                gpus=1,
                load="closed-loop",
                setting=f"b{2**step}",
                max_batch_size=2**step,
                responses_per_s=1.0 + step,
                output_tokens_per_s=300.0 + step,
                power_w=512.0,
                measured_on="2026-11-02",
            )
            for name in ("energy_per_response_j", "energy_per_output_token_j"):
                row |= interval(name, joules, 0.99, 1.01)
            for metric in LATENCIES:
                for quantile, factor in zip(QUANTILES, (1.0, 1.5, 2.0, 3.0), strict=True):
                    for bound, share in zip(BOUNDS, (1.0, 0.98, 1.02), strict=True):
                        row[f"{metric}_p{quantile}{bound}_s"] = seconds * factor * share
            rows.append(row | changes)
    return table_of(POINTS, *rows)


def whole(made: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The tables of one hardware with `made` as its points, and a carbon intensity."""
    found = {name: pl.DataFrame(schema=TABLES[name]) for name in site.TABLES}
    foot = {name: pl.lit(None, dtype).alias(name) for name, dtype in FOOTPRINT.items()}
    foot |= {name: pl.col(name) for name in FOOTPRINT if name in POINTS}
    foot["carbon_source"] = pl.lit("a number of this test").alias("carbon_source")
    foot["carbon_per_response_g"] = (pl.col("energy_per_response_j") / 10_000).alias("carbon_per_response_g")
    found["points"] = made
    found["footprint"] = made.select(foot.values())
    return found


def carried(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    document: dict[str, object] = json.loads(found[1])
    return document


def rows_of(page: str) -> list[dict[str, object]]:
    table = carried(page)["points"]
    assert isinstance(table, dict)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and the inline text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[tuple[str, str]] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag if tag in ("script", "style") else ""
        if self.inside:
            self.inline.append((tag, ""))

    def handle_data(self, data: str) -> None:
        if self.inside:
            tag, text = self.inline.pop()
            self.inline.append((tag, text + data))

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def test_the_same_tables_give_the_same_page() -> None:
    made = {"h100": whole(points(["b/one", "a/two"]))}
    assert site.page(made) == site.page(made)


def test_sixty_models_of_twelve_points_stay_under_three_megabytes() -> None:
    models = [f"an-owner-of-models/some-model-number-{place}-instruct" for place in range(60)]
    page = site.page({"h100": whole(points(models, batches=12))})
    assert len(rows_of(page)) == 720
    assert len(page.encode()) < 3 * MEGABYTE


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_changes_no_element_of_the_page(name: str) -> None:
    plain = Elements(site.page({"h100": whole(points(["a/b"]))}))
    page = site.page({"h100": whole(points([name]))})
    assert [tag for tag, _ in Elements(page).tags] == [tag for tag, _ in plain.tags]
    assert {row["model"] for row in rows_of(page)} == {name}


def test_the_policy_lets_in_what_is_inline_and_nothing_else() -> None:
    page = Elements(site.page({"h100": whole(points(["a/b"]))}))
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    directives = {words.split()[0]: set(words.split()[1:]) for words in policy.split(";")}
    assert directives["default-src"] == {"'none'"}
    code = [text for tag, text in page.inline if tag == "script"]
    for texts, directive in ((code[1:], "script-src"), ([t for tag, t in page.inline if tag == "style"], "style-src")):
        digests = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts}
        assert directives[directive] == {f"'sha256-{digest}'" for digest in digests}


def test_nothing_is_fetched_and_nothing_is_a_handler_in_the_markup() -> None:
    for tag, attrs in Elements(site.page({"h100": whole(points(["a/b"]))})).tags:
        assert "src" not in attrs
        assert not any(name.startswith("on") for name in attrs), tag
        assert attrs.get("href") is None or str(attrs["href"]).startswith(("data:,", "#"))


def test_every_file_of_the_folder_is_in_the_page() -> None:
    folder = Path(site.__file__).parent
    assert sorted([*STYLES, *MODULES]) == sorted(path.name for kind in ("*.css", "*.js") for path in folder.glob(kind))


def test_columns_of_nulls_are_left_out_and_numbers_have_six_digits() -> None:
    page = site.page({"h100": whole(points(["a/b"], energy_per_response_j=1 / 3, variant=None))})
    (first, *_) = rows_of(page)
    assert first["energy_per_response_j"] == 0.333333
    assert "variant" not in first


def test_repeats_are_pooled_and_a_flagged_one_is_not_beside_valid_ones() -> None:
    one = points(["a/b"], batches=1, energy_per_response_j=10.0)
    two = points(["a/b"], batches=1, energy_per_response_j=14.0, repeat=2)
    bad = points(["a/b"], batches=1, energy_per_response_j=99.0, repeat=3, verdict="flagged: drift (4, at most 3)")
    (row,) = rows_of(site.page({"h100": whole(pl.concat([one, two, bad]))}))
    assert (row["energy_per_response_j"], row["repeats"], row["verdict"]) == (12.0, 2, "valid")
    (row,) = rows_of(site.page({"h100": whole(pl.concat([one, two, bad]))}, publish_flagged=True))
    assert (row["energy_per_response_j"], row["repeats"], row["verdict"]) == (12.0, 2, "valid")
    (row,) = rows_of(site.page({"h100": whole(bad)}))
    assert (row["energy_per_response_j"], row["verdict"]) == (99.0, "flagged: drift (4, at most 3)")


def test_the_frontier_and_the_footprint_are_at_their_points() -> None:
    made = whole(points(["a/b"], batches=2))
    keys = {"task": "llm-chat", "model": "a/b", "hardware": "h100", "max_batch_size": 2, "setting": "b2"}
    pareto = [keys | {"latency_metric": metric} for metric in ("tpot_p50_s", "itl_p99_s")]
    made["pareto"] = table_of(PARETO, *pareto)
    first, second = rows_of(site.page({"h100": made}))
    assert (first["frontier"], second["frontier"]) == (None, ["itl_p99_s", "tpot_p50_s"])
    assert first["carbon_per_response_g"] == 0.01
    assert second["carbon_per_response_g"] == 0.005


def test_each_point_has_the_quality_of_its_variant_and_its_own_price_of_a_right_answer() -> None:
    made = whole(pl.concat([points(["a/b"], batches=2), points(["a/b"], batches=1, variant="fp8")]))
    known = {"task": "llm-chat", "metric": "exact-match", "mean_output_tokens": 10.0}
    half = known | {"model": "a/b", "quality": 0.5, "quality_low": 0.4, "quality_high": 0.6}
    made["quality"] = table_of(QUALITY, half, half | {"variant": "fp8", "quality": 0.25})
    rows = {(row.get("variant"), row["max_batch_size"]): row for row in rows_of(site.page({"h100": made}))}
    figures = {at: (row["quality"], row["energy_per_right_answer_j"]) for at, row in rows.items()}
    # 100 J a token at B = 1, 50 J at B = 2, times ten tokens, over the share.
    assert figures == {(None, 1): (0.5, 2000.0), (None, 2): (0.5, 1000.0), ("fp8", 1): (0.25, 4000.0)}
    assert rows[None, 1]["energy_per_right_answer_low_j"] == 1650.0  # 99 J x 10 / 0.6
    assert "mean_output_tokens" not in rows[None, 1]


def test_a_published_score_is_at_every_point_of_its_model() -> None:
    made = whole(points(["a/b", "a/c"], batches=2, weights="synthetic"))
    facts = {"published_score_name": "a board", "published_score_source": "who", "published_score_date": "2025-03-13"}
    best = best_row(model="a/b", published_score=23.5, **facts)
    made["leaderboard"] = table_of(LEADERBOARD, best, best_row(model="a/c"))
    rows = rows_of(site.page({"h100": made}))
    assert [(row["model"], row["published_score"]) for row in rows] == [("a/b", 23.5)] * 2 + [("a/c", None)] * 2
    assert {row["published_score_name"] for row in rows} == {"a board", None}


def test_without_any_quality_the_page_carries_nothing_of_it() -> None:
    assert not [name for name in rows_of(site.page({"h100": whole(points(["a/b"]))}))[0] if "quality" in name]


def test_a_verdict_is_carried_as_a_value_and_what_flagged_it() -> None:
    said = {
        "valid": ("valid", None),
        "no energy: nothing measures it": ("valid", None),
        "flagged: drift (4, at most 3)": ("flagged", "drift (4, at most 3)"),
        "invalid: requests failed (2, at most 0); flagged: drift (4, at most 3)": ("invalid", None),
    }
    made = pl.concat(points([f"a/{place}"], batches=1, verdict=text) for place, text in enumerate(said))
    rows = rows_of(site.page({"h100": whole(made)}))
    assert [(row["severity"], row["flagged_for"]) for row in rows] == list(said.values())


def test_energy_sources_are_carried_in_words() -> None:
    both, unknown = "codecarbon_estimate+nvml_power", "a new one"
    made = pl.concat(
        points([f"a/{place}"], energy_source=one) for place, one in enumerate((both, "rapl", unknown, None))
    )
    assert carried(site.page({"h100": whole(made)}))["sources"] == {
        both: {
            "words": "estimated by CodeCarbon (codecarbon_estimate), not measured, "
            "NVML power readings, integrated (nvml_power)",
            "estimate": True,
        },
        "rapl": {"words": "RAPL counters (rapl)", "estimate": False},
        unknown: {"words": unknown, "estimate": False},
    }


def test_a_recommendation_has_the_latencies_that_its_service_asks_for() -> None:
    made = whole(points(["a/b"], batches=2))
    keys = {"task": "llm-chat", "model": "a/b", "hardware": "h100", "max_batch_size": 2, "setting": "b2"}
    none = {"task": "llm-chat", "model": "a/b", "hardware": "h100", "service": "strict", "reason": "too slow"}
    rows = [keys | {"service": "config"}, keys | {"service": "strict"}, none]
    made["recommendations"] = table_of(RECOMMENDATIONS, *rows)
    limits = (
        LatencyTarget(metric="ttft", quantile=99, at_most_s=2.0),
        LatencyTarget(metric="tpot", quantile=90, at_most_s=0.1),
    )
    services = {"strict": Service(tasks=("llm-chat",), at_most=limits, source="a book")}
    document = carried(site.page({"h100": made}, services=services))
    table = document["recommendations"]
    assert isinstance(table, dict)
    found = [dict(zip(table["columns"], row, strict=True))["found"] for row in table["rows"]]
    # The second point's median is 0.02 s; its 90th percentile 1.5 times that, its 99th 3 times.
    assert found[0] == [{"metric": "tpot", "quantile": 50, "seconds": 0.02}]
    assert found[1] == [
        {"metric": "ttft", "quantile": 99, "seconds": 0.06},
        {"metric": "tpot", "quantile": 90, "seconds": 0.03},
    ]
    assert found[2] == []
    assert document["services"] == {
        "strict": {
            "at_most": [
                {"metric": "ttft", "quantile": 99, "at_most_s": 2.0},
                {"metric": "tpot", "quantile": 90, "at_most_s": 0.1},
            ],
            "source": "a book",
        }
    }


def test_the_hardware_is_carried_as_it_was_given() -> None:
    made = {"h100": whole(points(["a/b"])), "a100": whole(points(["a/b"], hardware="a100"))}
    assert carried(site.page(made))["hardware"] == ["h100", "a100"]


def test_a_task_has_its_own_target_and_no_other() -> None:
    targets = {
        "llm-chat": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.05),
        "llm-code": LatencyTarget(metric="tpot", quantile=99, at_most_s=0.1),
        "text-to-image": None,
    }
    document = carried(site.page({"h100": whole(points(["a/b"]))}, targets=targets))
    assert document["targets"] == {"llm-chat": {"metric": "tpot", "quantile": 50, "at_most_s": 0.05}}


@pytest.mark.parametrize("made", [{}, {"h100": whole(points([]))}])
def test_nothing_measured_is_a_page_too(made: dict[str, dict[str, pl.DataFrame]]) -> None:
    assert carried(site.page(made))["tasks"] == []
