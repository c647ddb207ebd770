"""The leaderboard page in a real browser: what a person does with mouse, keys and eyes."""

import random
from collections.abc import Callable, Iterator
from typing import Literal

import chromium
import polars as pl
import pytest
from building import PROJECT, RESULTS, best_row, interval, point_row, table_of
from paged import LUMINANCE, Page, opened

from joulebench import site
from joulebench.analysis.leaderboard import leaderboard
from joulebench.config.services import LatencyTarget, Service, targets_of
from joulebench.inputs.yaml_files import read_yaml
from joulebench.names import TaskName
from joulebench.plan import plan
from joulebench.tables.columns import BOUNDS, QUANTILES
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import FOOTPRINT, LEADERBOARD, PARETO, POINTS, QUALITY, RECOMMENDATIONS, TABLES

pytestmark = chromium.NEEDS
SCRIPT, IMAGE, FORMULA = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', '=HYPERLINK("http://x")'
AMPERSAND = "&<img src=x onerror=alert(1)>"
GEMMA, LLAMA, QWEN = "google/gemma-2-2b-it", "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-8B"
MISTRAL = "mistralai/Mistral-7B-Instruct-v0.3"
ALL_HARDWARE = "#hardware=any"
SD, VIDEO = "stabilityai/stable-diffusion-2-1", "Wan-AI/Wan2.1-T2V-1.3B"


def point(model: str, batch: int, joules: float | None, tpot_s: float, **more: object) -> dict[str, object]:
    """A row of points.csv whose latencies at p50, p90, p95 and p99 are 1, 1.5, 2 and 4 times those of the median."""
    image = more.get("task", "llm-chat") != "llm-chat"
    row = point_row(
        **{"model": model, "parameters": 8 * 10**9, "device": "NVIDIA H100 80GB HBM3", "gpus": 1},
        **{"engine": "vllm", "dtype": "bfloat16", "load": "closed-loop", "measured_on": "2026-11-02"},
        **{"max_batch_size": batch, "setting": f"b{batch}", "responses_per_s": batch / 4, "tdp_w": 700.0},
        **{"energy_source": None if joules is None else "nvml_counter", "window_s": 20.0, "window_responses": 100},
    )
    if joules is not None:
        row |= {"power_w": 600.0, "power_low_w": 590.0, "power_high_w": 611.0, "tdp_estimate_j": 1.1 * joules}
        row |= interval("energy_per_response_j", joules, 0.97, 1.04)
        row["net_energy_per_response_j"] = 0.9 * joules
    if not image:
        row |= {"output_tokens_per_s": 80.0 * batch, "mean_prompt_tokens": 150.0, "mean_output_tokens": 320.0}
        if joules is not None:
            row["energy_per_output_token_j"] = joules / 320
    latencies = (
        {"latency": tpot_s} if image else {"ttft": 5 * tpot_s, "tpot": tpot_s, "itl": tpot_s, "latency": 320 * tpot_s}
    )
    for metric, seconds in latencies.items():
        for quantile, factor in zip(QUANTILES, (1.0, 1.5, 2.0, 4.0), strict=True):
            for bound, share in zip(BOUNDS, (1.0, 0.98, 1.03), strict=True):
                row[f"{metric}_p{quantile}{bound}_s"] = seconds * factor * share
    return {**row, **more}


def whole(rows: list[dict[str, object]]) -> dict[str, pl.DataFrame]:
    """The tables of one hardware whose points are `rows`: 400 gCO2e and 0.2 USD a kWh."""
    made = table_of(POINTS, *rows)
    frames = {name: pl.DataFrame(schema=TABLES[name]) for name in site.TABLES}
    kwh = pl.col("energy_per_response_j") / 3.6e6
    foot = {
        **{name: pl.lit(None, dtype).alias(name) for name, dtype in FOOTPRINT.items()},
        **{name: pl.col(name) for name in FOOTPRINT if name in POINTS},
        "pue": pl.lit(1.0).alias("pue"),
        "carbon_g_per_kwh": pl.lit(400.0).alias("carbon_g_per_kwh"),
        "carbon_source": pl.lit("a number of this test").alias("carbon_source"),
        "currency": pl.lit("USD").alias("currency"),
        "cost_per_response": (kwh * 0.2).alias("cost_per_response"),
        "reason": pl.lit(None, pl.String).alias("reason"),
    }
    for bound in BOUNDS:
        grams = pl.col(f"energy_per_response{bound}_j") / 3.6e6 * 400
        foot[f"carbon_per_response{bound}_g"] = grams.alias(f"carbon_per_response{bound}_g")
    frontier = {
        **{name: pl.lit(None, dtype).alias(name) for name, dtype in PARETO.items()},
        **{name: pl.col(name) for name in PARETO if name in POINTS},
        "latency_metric": pl.lit("tpot_p50_s").alias("latency_metric"),
    }
    frames["points"] = made
    frames["footprint"] = made.select(foot.values())
    best = (pl.col("task") == "llm-chat") & (pl.col("max_batch_size") != 32)
    frames["pareto"] = made.filter(best).select(frontier.values())
    return frames


def sweep(model: str, joules: float, tpot_s: float, steps: int = 4, **more: object) -> list[dict[str, object]]:
    """Batch sizes 8, 32, 128, ...: each takes 0.6 of the energy of the one before, and 1.7 times the latency."""
    return [point(model, 8 * 4**k, joules * 0.6**k, tpot_s * 1.7**k, **more) for k in range(steps)]


def few() -> dict[str, dict[str, pl.DataFrame]]:
    """Two pieces of hardware. At B 8, 32, 128, 512 energy falls by 1, 0.6, 0.36, 0.216; time: 1, 1.7, 2.89, 4.913.

    Within 50 ms a token: at B 512 Gemma takes 8.64 J, Llama 21.6 J, Mistral 22.032 J, all on the H100, and Llama on the
    A100 86.4 J; Qwen 39.6 J at B 128.
    """
    h100 = [
        *sweep(GEMMA, 40.0, 0.004),
        *sweep(LLAMA, 100.0, 0.008),
        *sweep(MISTRAL, 102.0, 0.0081, weights="synthetic"),
        *sweep(QWEN, 110.0, 0.012),
        point("big/overflow", 8, None, 0.1, status="out_of_memory", verdict="invalid: out_of_memory: it was too big"),
        *sweep("doubtful/one", 60.0, 0.006, verdict="flagged: drift (3.4, at most 3)"),
        *sweep(SD, 900.0, 2.0, task="text-to-image", engine="diffusers"),
    ]
    a100 = sweep(LLAMA, 400.0, 0.009, hardware="a100", device="NVIDIA A100-SXM4-40GB", engine="transformers")
    return {"h100": whole(h100), "a100": whole(a100)}


def many() -> dict[str, dict[str, pl.DataFrame]]:
    """Sixty models of twelve points."""
    rng = random.Random(7)
    rows = []
    for place in range(60):
        size = 2 ** rng.uniform(0, 6.5)
        base, tpot = 14 * size, 0.0012 + 0.0009 * size
        owner = rng.choice(["some-lab", "an-institute", "group-of-seven", "openweights"])
        model = f"{owner}/model-{place:02d}-{size:.0f}b-{rng.choice(['instruct', 'chat', 'it'])}"
        for k in range(12):
            joules = base * (0.09 + 0.9 / 2 ** (0.8 * k)) * rng.uniform(0.99, 1.01)
            rows.append(point(model, 2**k, joules, tpot * (1 + 0.03 * 2 ** (0.75 * k)), parameters=int(size * 1e9)))
    return {"h100": whole(rows)}


def hostile() -> dict[str, dict[str, pl.DataFrame]]:
    rows = [
        row for k, name in enumerate((SCRIPT, IMAGE, FORMULA, AMPERSAND)) for row in sweep(name, 10.0 * (k + 1), 0.01)
    ]
    bad = {"task": SCRIPT, "variant": IMAGE, "engine": IMAGE, "device": SCRIPT, "dtype": AMPERSAND}
    rows += sweep(IMAGE, 5.0, 0.01, **bad) + sweep(SCRIPT, 7.0, 0.01, variant=FORMULA, verdict=f"flagged: {IMAGE}")
    made = whole(rows)
    given = {"task": "llm-chat", "model": SCRIPT, "hardware": "h100", "service": IMAGE, "latency_target": SCRIPT}
    made["recommendations"] = table_of(RECOMMENDATIONS, given | {"reason": AMPERSAND})
    return {"h100": made}


def without_energy() -> dict[str, dict[str, pl.DataFrame]]:
    return {"cpu": whole([point("a/one", batch, None, 0.01 * batch) for batch in (1, 2, 4)])}


def estimated() -> dict[str, dict[str, pl.DataFrame]]:
    """Estimates without intervals, and an overloaded point; no latency of `silent/one` is known."""
    more: dict[str, object] = {"energy_source": "codecarbon_estimate", "hardware": "cpu", "weights": "synthetic"}
    more |= dict.fromkeys(["energy_per_response_low_j", "energy_per_response_high_j", "power_low_w", "power_high_w"])
    rows = [*sweep("a/one", 8.0, 0.004, **more), *sweep("a/two", 9.0, 0.004, **{**more, "status": "overloaded"})]
    silent = point("silent/one", 8, 5.0, 0.01, **more)
    return {
        "cpu": whole(
            [*rows, {**silent, **{name: None for name in silent if name.endswith("_s")}, "responses_per_s": 1.0}]
        )
    }


def published() -> dict[str, dict[str, pl.DataFrame]]:
    """The committed records of an H100."""
    frames = {name: pl.DataFrame(schema=TABLES[name]) for name in site.TABLES}
    folder = RESULTS / "h100"
    for name in ("points", "leaderboard"):
        frames[name] = read_csv(folder / f"{name}.csv", TABLES[name])
    return {"h100": frames}


def arrivals() -> dict[str, dict[str, pl.DataFrame]]:
    """Gemma in a closed loop, Llama under Poisson arrivals of 1, 4 and 16 requests a second."""
    rates: dict[str, object] = {"load": "poisson", "axis": "rate_per_s", "requests": 500}
    rows = [
        point(LLAMA, 256, 90.0 - 20 * k, 0.01 * 1.7**k, **rates, rate_per_s=4.0**k, setting=f"r{4**k}-n500-b256")
        for k in range(3)
    ]
    made = whole([*sweep(GEMMA, 40.0, 0.004), *rows])
    best = {name: rows[-1][name] for name in RECOMMENDATIONS if name in rows[-1]}
    made["recommendations"] = table_of(RECOMMENDATIONS, best | {"service": "a-service"})
    return {"h100": made}


def natural() -> dict[str, dict[str, pl.DataFrame]]:
    """Gemma with answers of given lengths and with its own, which are shorter; Llama with given ones alone."""
    rows = [
        *sweep(GEMMA, 40.0, 0.004, answers="reference", variant="given"),
        *sweep(GEMMA, 10.0, 0.004, answers="natural", weights="checkpoint"),
        *sweep(LLAMA, 20.0, 0.008, answers="reference", weights="synthetic"),
    ]
    return {"h100": whole(rows)}


def judged() -> dict[str, dict[str, pl.DataFrame]]:
    """Gemma's and Llama's answers were judged, and others published scores of Llama and Mistral.

    At B 512 Gemma takes 8.64 J a response of 320 tokens, Llama 21.6 J; the judged answers have 80 tokens, a quarter.
    """
    rows = [row for model, joules in ((GEMMA, 40.0), (LLAMA, 100.0)) for row in sweep(model, joules, 0.004)]
    rows = [row | interval("energy_per_output_token_j", float(str(row["energy_per_output_token_j"]))) for row in rows]
    made = whole([*rows, *sweep(MISTRAL, 102.0, 0.0081, weights="synthetic")])
    known = {"task": "llm-chat", "metric": "exact-match", "mean_output_tokens": 80.0}
    shares = {GEMMA: (0.25, 0.2, 0.3), LLAMA: (0.9, 0.8, 0.95)}
    columns = ("quality", "quality_low", "quality_high")
    scores = (known | {"model": model, **dict(zip(columns, share, strict=True))} for model, share in shares.items())
    made["quality"] = table_of(QUALITY, *scores)
    facts = {"name": IMAGE, "unit": "%", "source": "who", "date": "2025-03-13"}
    facts = {f"published_score_{name}": fact for name, fact in facts.items()}
    best = {LLAMA: 23.74, MISTRAL: 19.0}
    board = (best_row(model=model, published_score=score, **facts) for model, score in best.items())
    made["leaderboard"] = table_of(LEADERBOARD, *board)
    return {"h100": made}


def mixed() -> dict[str, dict[str, pl.DataFrame]]:
    """A CPU whose energies are estimated, given before two GPUs whose are measured: the toy needs 1.728 J at B 512."""
    more: dict[str, object] = {"energy_source": "codecarbon_estimate", "hardware": "cpu", "dataset": "a-toy-set"}
    more |= dict.fromkeys(["energy_per_response_low_j", "energy_per_response_high_j", "power_low_w", "power_high_w"])
    toy = sweep("a/toy", 8.0, 0.004, device="Intel Xeon", engine="transformers", **more)
    return {"cpu": whole(toy), **few()}


def variants() -> dict[str, dict[str, pl.DataFrame]]:
    """Llama in fp8, on the H100 alone, takes less than as it is, which both have: 17.28 J, and 21.6 and 86.4 J."""
    h100 = [*sweep(LLAMA, 100.0, 0.008), *sweep(LLAMA, 80.0, 0.008, variant="fp8")]
    a100 = sweep(LLAMA, 400.0, 0.009, hardware="a100", device="NVIDIA A100-SXM4-40GB")
    return {"h100": whole(h100), "a100": whole(a100)}


PAGES: dict[str, Callable[[], dict[str, dict[str, pl.DataFrame]]]] = {
    "few": few,
    "many": many,
    "hostile": hostile,
    "empty": dict,
    "without_energy": without_energy,
    "estimated": estimated,
    "published": published,
    "arrivals": arrivals,
    "natural": natural,
    "judged": judged,
    "mixed": mixed,
    "variants": variants,
}


TARGETS = {
    "many": {"llm-chat": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.1)},
    "published": targets_of(plan(read_yaml(PROJECT / "config.yaml", "config")).plain_targets),
}
OTHERS_TARGETS = {
    "llm-chat": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.05),
    "text-to-image": LatencyTarget(metric="latency", quantile=50, at_most_s=20),
}
SERVICE = Service(tasks=("llm-chat",), at_most=(LatencyTarget(metric="ttft", quantile=99, at_most_s=2.5),), source="?")


def made(name: str) -> str:
    targets = TARGETS.get(name, OTHERS_TARGETS)
    return site.page(PAGES[name](), targets=targets, services={"a-service": SERVICE})


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with opened(tmp_path_factory, made) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The browser, which has nothing to complain of afterwards and has asked no network for anything."""
    yield browser
    assert browser.troubles() == []


def test_each_model_is_at_its_point_of_least_energy_within_the_target(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    assert page.cells("Model")[:5] == [GEMMA, LLAMA, MISTRAL, QWEN, LLAMA]
    assert page.cells("Energy") == ["8.64", "21.6", "22.0", "39.6", "86.4", "–", "–"]
    assert page.cells("Rank") == ["1", "2", "≈3", "4", "5", "–", "–"]
    assert page.cells("B") == ["512", "512", "512", "128", "512", "–", "–"]
    assert page.cells("TPOT p50 (ms)")[0] == "19.7"  # 4 ms * 1.7^3
    assert "8.38–8.99" in page.texts(".leaderboard tbody tr:first-child small")  # 0.97 and 1.04 times 8.64
    assert page.texts("#count") == ["7 models and devices; 5 within the target (median time per output token ≤ 50 ms)"]
    unranked = " ".join(page.texts(".leaderboard tbody .why"))
    assert "flagged: drift (3.4, at most 3)" in unranked
    assert "it was too big" in unranked


def names_of(board: pl.DataFrame) -> list[str]:
    """As the page names the rows of a leaderboard."""
    return [
        model + (" (natural answers)" if answers == "natural" else "") + (f"+{variant}" if variant else "")
        for model, answers, variant in board.select("model", "answers", "variant").iter_rows()
    ]


def test_published_records_open_as_the_published_leaderboard(page: Page) -> None:
    page.open("published")
    board = published()["h100"]["leaderboard"]
    for task in page.texts("#tasks label"):
        page.js("[...document.getElementsByName('task')].find((one) => one.value === arguments[0]).click()", task)
        rows = board.filter(pl.col("task") == task)
        assert page.cells("Model") == names_of(rows)
        ranked = rows.filter(pl.col("rank").is_not_null())
        assert page.cells("B")[: len(ranked)] == [str(batch) for batch in ranked["max_batch_size"]]
        for shown, joules in zip(page.cells("Energy"), ranked["energy_per_response_j"], strict=False):
            assert float(shown.replace(",", "")) == pytest.approx(joules, rel=0.005)


@pytest.mark.parametrize(
    ("task", "metric", "quantile", "seconds"),
    [("llm-chat", "tpot", 99, 0.02), ("llm-chat", "ttft", 90, 0.035), ("text-to-image", "latency", 50, 3.0)],
)
def test_the_page_chooses_as_the_analysis_does(
    page: Page,
    task: TaskName,
    metric: Literal["tpot", "ttft", "latency"],
    quantile: Literal[50, 90, 99],
    seconds: float,
) -> None:
    page.open("published", f"#task={task}&metric={metric}&quantile={quantile}&target={seconds}")
    target = LatencyTarget(metric=metric, quantile=quantile, at_most_s=seconds)
    board = leaderboard(published()["h100"]["points"], {task: target}).filter(pl.col("task") == task)
    assert board["meets_latency_target"].sum() > 0
    rows = zip(page.cells("Model"), page.cells("Rank"), page.cells("B"), strict=True)
    shown = {model: (rank.lstrip("≈"), batch) for model, rank, batch in rows}
    expected = board.select(
        "model", pl.col("rank").cast(pl.String).fill_null("–"), pl.col("max_batch_size").cast(pl.String)
    )
    found = zip(names_of(board), expected.iter_rows(), strict=True)
    assert shown == {name: (rank, batch) for name, (_, rank, batch) in found}


def test_a_click_on_a_heading_sorts_and_says_so(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    page.sort(8)
    assert page.texts("th[aria-sort]") == ["TPOT p50 (ms)"]
    values = [float(text) for text in page.cells("TPOT")[:5]]
    assert values == sorted(values)
    page.sort(8)
    assert page.find("th[aria-sort]").get_attribute("aria-sort") == "descending"
    values = [float(text) for text in page.cells("TPOT")[:5]]
    assert values == sorted(values, reverse=True)
    assert page.cells("TPOT")[5:] == ["–", "–"], "what is not known comes last both ways"


def test_filters_leave_what_they_say(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    page.choose("hardware", "a100")
    assert page.cells("Model") == [LLAMA]
    assert page.texts("#count")[0].startswith("1 model; 1 within")
    page.choose("hardware", "")
    page.choose("engine", "vllm")
    assert len(page.cells("Model")) == 6
    page.choose("weights", "synthetic")
    assert page.cells("Model") == [MISTRAL]
    page.find("#reset").click()
    page.choose("hardware", "")
    page.type("#model", "LLAMA")
    assert page.cells("Model") == [LLAMA, LLAMA]
    page.type("#model", "no such model")
    assert page.texts(".dt-empty") == ["No model passes the filters."]
    assert "Nothing to draw" in page.texts("#chart")[0]


def test_a_task_has_its_own_metric_and_target(page: Page) -> None:
    page.open("few")
    page.find("#tasks label:nth-of-type(2)").click()
    assert page.cells("Model") == [SD]
    assert page.cells("Latency p50 (s)") == ["9.83"]  # 2 s * 1.7^3
    assert page.find("#target-value").get_attribute("value") == "20"
    assert page.texts("#metric option") == ["Latency"]


def test_the_slider_chooses_each_models_point_again(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    page.find("#target-slider").send_keys("\ue010")  # End: any latency
    assert page.find("#target-value").get_attribute("value") == ""
    assert page.cells("B")[:5] == ["512"] * 5
    assert page.cells("Energy")[3] == "23.8"  # Qwen, 110 J * 0.216
    page.find("#target-slider").send_keys("\ue011")  # Home: the least latency of all
    assert page.find("#target-value").get_attribute("value") == "4"
    assert page.cells("Rank") == ["1", *["–"] * 6]
    assert page.cells("Energy")[0] == "40.0"
    assert page.texts(".badge.misses") == ["misses the target"] * 4
    assert page.cells("B")[1:5] == ["8"] * 4, "what misses the target is at its least latency"


def test_the_target_is_set_as_a_number_too(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    page.type("#target-value", "30")
    energies = dict(
        zip(zip(page.cells("Model"), page.cells("Hardware"), strict=True), page.cells("Energy"), strict=True)
    )
    assert energies[GEMMA, "h100"] == "8.64"
    assert energies[LLAMA, "h100"] == "36.0"  # B 128, 23.1 ms
    assert energies[QWEN, "h100"] == "66.0"  # B 32, 20.4 ms
    assert page.texts(".limit-label") == ["target 30.0 ms"]
    page.find("#own-target").click()
    assert page.find("#target-value").get_attribute("value") == "50"


def test_the_budget_leaves_out_what_needs_more(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    page.type("#budget-value", "30")
    assert page.cells("Model") == [GEMMA, LLAMA, MISTRAL]
    assert page.texts("#count")[0].endswith("2 over the budget; 2 without an energy left out")
    page.type("#budget-value", "1")
    assert page.cells("Rank") == ["No model passes the filters."]


def test_flagged_points_are_taken_when_asked_for(page: Page) -> None:
    page.open("few")
    assert len(page.all("#chart .flagged")) == 4
    assert "Crosses: flagged, not taken." in page.texts("#chart-note")[0]
    page.find("#flagged").click()
    assert page.cells("Model")[1] == "doubtful/one"
    assert page.texts(".badge.doubt") == ["flagged"]
    assert "Flagged points are taken." in page.texts(".notice")


def test_pointing_at_a_point_tells_of_it_and_marks_its_row(page: Page) -> None:
    page.open("few")
    assert not page.find("#tooltip").is_displayed()
    page.over(page.point(f"h100/{QWEN}", 32))
    assert page.find("#tooltip").is_displayed()
    words = page.find("#tooltip").text
    for said in (QWEN, "B 32", "66.0 J (64.0–68.6)", "20.4 ms", "600 W"):
        assert said in words
    assert [row.get_attribute("data-group") for row in page.all("tr.is-hovered")] == [f"h100/{QWEN}"]
    page.over(page.find("h1"))
    assert not page.find("#tooltip").is_displayed()
    assert page.all(".is-hovered") == []


def test_pointing_at_a_row_marks_its_line(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    page.over(page.row(f"a100/{LLAMA}"))
    assert [one.get_attribute("data-group") for one in page.all(".series.is-hovered")] == [f"a100/{LLAMA}"]


def test_what_is_off_the_frontier_of_its_model_is_faint(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    faint = "return [...document.querySelectorAll('.off-frontier')].map((one) => one.dataset.setting)"
    assert page.js(faint) == ["b32"] * 5, "no point of B 32 is in pareto.csv; the flagged model's are not judged"
    assert page.texts("#chart-note")[0].endswith("Faint: off its model’s frontier.")
    page.choose("quantile", "99")
    assert page.js(faint) == [], "the frontier is one of the median"


def test_clicks_select_and_the_selected_are_compared(page: Page) -> None:
    page.open("few", ALL_HARDWARE)
    assert page.texts("#compare p") == ["Select models in the table or the chart to see them side by side."]
    page.over(page.point(f"h100/{LLAMA}", 512))
    page.point(f"h100/{LLAMA}", 512).click()
    page.row(f"h100/{MISTRAL}").find_element("css selector", "input").click()
    assert page.texts(".compare thead .name small") == ["h100", "h100"]
    found = page.js(
        "return [...document.querySelectorAll('.compare tbody tr')].map((row) =>"
        "[row.querySelector('th').textContent, [...row.querySelectorAll('td')].map((one) => one.textContent)])"
    )
    lines = dict(found)
    assert lines["Energy per response (J)"] == ["21.621.0–22.5", "22.021.4–22.9"]
    assert lines["Against the least"] == ["least", "+2 %, not told apart: intervals overlap"]
    assert lines["gCO₂e per 1,000 responses"][0].startswith("2.40")  # 21.6 J / 3.6e6 * 400 g * 1000
    assert lines["Carbon intensity"][0] == "400 g/kWh (a number of this test)"
    assert lines["Cost, USD per 1,000"][0] == "0.00120"  # 21.6 J / 3.6e6 * 0.2 * 1000
    assert lines["Weights"] == ["checkpoint", "synthetic"]
    assert lines["Energy source"] == ["NVML energy counter (nvml_counter)"] * 2
    assert page.texts(".legend [aria-pressed='true']") == [f"{LLAMA}, h100", f"{MISTRAL}, h100"]
    page.find(f"[aria-label='Remove {LLAMA} on h100']").click()
    assert len(page.all(".compare thead th")) == 1
    page.find("#clear").click()
    assert page.all(".compare") == []


def test_the_percentile_and_the_metric_move_chart_table_and_target(page: Page) -> None:
    page.open("few")
    page.choose("quantile", "99")
    assert page.cells("TPOT p99 (ms)")[0] == "46.2"  # Gemma at B 128: 4 ms * 1.7^2 * 4
    assert page.cells("Energy")[0] == "14.4"
    assert page.texts("#chart .title")[0] == "99th percentile of time per output token (ms)"
    page.choose("metric", "ttft")
    assert page.find("#target-value").get_attribute("value") == "", "a target of one metric is none of another"
    assert page.cells("Energy")[0] == "8.64"
    assert page.texts("#chart .title")[0] == "99th percentile of time to first token (ms)"


def test_rows_and_points_are_downloaded_as_shown(page: Page) -> None:
    page.open("few", "#hardware=h100&engine=vllm&model=l&sort=energy.desc")
    page.find("#download").click()
    rows = page.downloaded("joulebench-leaderboard.csv")
    assert [row["model"] for row in rows] == page.cells("Model")
    assert rows[0]["energy_per_response_j"] == "22.032"
    assert rows[0]["energy_per_response_low_j"] == "21.371"
    assert [row["rank"] for row in rows] == ["3", "2", "1"] or [row["rank"] for row in rows][:2] == ["3", "2"]
    page.find("#download-points").click()
    assert len(page.downloaded("joulebench-points.csv")) == len(
        [
            row
            for row in few()["h100"]["points"].iter_rows(named=True)
            if row["task"] == "llm-chat" and row["model"] in {shown["model"] for shown in rows}
        ]
    )


def test_an_address_brings_everything_back(page: Page) -> None:
    page.open("few")
    page.choose("metric", "itl")
    page.choose("quantile", "90")
    page.type("#target-value", "31.5")
    page.type("#budget-value", "70")
    page.choose("hardware", "h100")
    page.type("#model", "l")
    page.sort(6)
    page.sort(6)
    page.row(f"h100/{LLAMA}").find_element("css selector", "input").click()

    def seen() -> list[object]:
        ids = ("metric", "quantile", "target-value", "target-slider", "budget-value", "model")
        values = [page.find(f"#{id_}").get_attribute("value") for id_ in ids]
        values.append(page.find("#hardware :checked").get_attribute("value"))
        return [values, page.cells("Model"), page.cells("Energy"), page.texts(".compare th"), page.texts("#count")]

    before, address = seen(), page.hash()
    assert page.cells("Energy") == ["61.2", "60.0", "8.64"]  # B 32, 32 and 512: 20.7, 20.4 and 29.5 ms at p90
    page.open("few", address)
    assert seen() == before
    page.js("location.hash = ''")
    page.wait(lambda: len(page.cells("Model")) == 6)


@pytest.mark.parametrize("words", ["#task=x&metric=y&quantile=1&target=-1&budget=NaN&select=z&sort=q.asc", "#%%%&=&="])
def test_an_address_that_says_nonsense_is_passed_over(page: Page, words: str) -> None:
    page.open("few", words)
    assert page.cells("Model")[0] == GEMMA


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_both_themes(page: Page, dark: bool) -> None:
    page.open("few", f"{ALL_HARDWARE}&target=0.01", dark=dark)
    ground = ["body", "backgroundColor"]
    for selector in ("h1", ".lead", ".note", ".count", ".badge.misses", "#own-target", ".unranked"):
        assert page.js(LUMINANCE, [selector, "color"], ground) > 4.5, selector
    for place in range(6):
        assert page.js(LUMINANCE, [f".swatch.c{place}", "backgroundColor"], ground) > 2.4, place


def test_the_switch_overrules_what_the_system_prefers(page: Page) -> None:
    page.open("few", dark=True)
    ground = "return getComputedStyle(document.body).backgroundColor"
    dark = page.js(ground)
    page.find("#theme label:nth-of-type(2)").click()
    light = page.js(ground)
    assert light != dark
    page.open("few", dark=True)
    assert page.js(ground) == light, "it is remembered"
    page.find("#theme label:nth-of-type(3)").click()
    page.media(dark=False)
    assert page.js(ground) == dark
    page.find("#theme label:nth-of-type(1)").click()
    assert page.js(ground) == light


@pytest.mark.parametrize("name", ["few", "many", "hostile", "empty", "estimated"])
def test_a_phone_shows_all_without_scrolling_sideways(page: Page, name: str) -> None:
    page.open(name, width=400)
    if name == "few":
        page.row(f"h100/{LLAMA}").find_element("css selector", "input").click()
        page.row(f"h100/{QWEN}").find_element("css selector", "input").click()
        assert page.cells("Energy")[0] == "8.64"
    assert page.js("return document.documentElement.scrollWidth") == 400
    outside = page.js(
        "return [...document.querySelectorAll('main *, header *, footer *')].filter((one) => {"
        "if (one.closest('.scroll table, .unseen, .limit-label')) return false;"
        "const box = one.getBoundingClientRect(); return box.width > 0 && (box.right > 400.5 || box.left < -0.5)})"
        ".map((one) => one.outerHTML.slice(0, 80))"
    )
    assert outside == []


def test_a_narrower_window_is_followed(page: Page) -> None:
    page.open("few")
    wide = page.js("return document.querySelector('#chart svg').getBoundingClientRect().width")
    size = {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chart = "return document.querySelector('#chart svg').getBoundingClientRect().width"
    page.wait(lambda: page.js(chart) < 400 < wide)
    page.wait(lambda: len(page.all(".leaderboard thead th")) == 4)


def test_keys_alone_do_it(page: Page) -> None:
    page.open("few")
    active = "return document.activeElement.id || document.activeElement.value || document.activeElement.className"
    page.keys("TAB")
    assert page.js(active) == "skip"
    page.keys("ENTER")
    assert page.js(active) == "leaderboard"
    page.js("document.querySelector('#tasks input').focus()")
    page.keys("ARROW_RIGHT")
    assert page.cells("Model") == [SD]
    page.keys("ARROW_LEFT")
    page.js("document.querySelector('#chart svg').focus()")
    page.keys("ARROW_RIGHT", "ARROW_RIGHT")
    assert "B\u00a032" in page.texts("#said")[0]
    assert page.find("#tooltip").is_displayed()
    page.keys("ENTER")
    assert len(page.all(".compare thead th")) == 1
    page.js("document.querySelector('tbody tr[data-group] input').focus()")
    page.keys("SPACE")
    assert len(page.all(".compare thead th")) == 2
    assert page.js("return document.activeElement.matches('tbody input')"), "the focus stays where it was"
    page.js("document.querySelector('.leaderboard thead th:nth-child(2) [tabindex]').focus()")
    page.keys("ENTER")
    page.wait(lambda: page.texts("th[aria-sort]") == ["Model"])
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_screen_reader_has_a_name_for_everything_that_is_operated(page: Page) -> None:
    page.open("few", f"#select=h100/{LLAMA}")
    page.driver.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    operated = {"button", "checkbox", "combobox", "radio", "searchbox", "slider", "spinbutton", "textbox", "group"}
    found = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes if not node["ignored"]]
    assert {"button", "checkbox", "combobox", "radio", "searchbox", "slider", "spinbutton"} <= {
        role for role, _ in found
    }
    assert [(role, name) for role, name in found if role in operated and not name and role != "group"] == []
    headings = page.js("return [...document.querySelectorAll('.leaderboard th')].map((one) => one.scope)")
    assert set(headings) == {"col", "row"}
    page.driver.execute_cdp_cmd("Accessibility.disable", {})


def test_hostile_names_are_text_everywhere(page: Page) -> None:
    page.open("hostile", width=1280)
    inserted = "return document.querySelectorAll('body script:not([type]), img, [onerror], a[href^=http]').length"
    assert set(page.cells("Model")) >= {SCRIPT, IMAGE, FORMULA, AMPERSAND}
    for box in page.all("tbody input"):
        box.click()
    shown = " ".join(page.texts(".compare thead"))
    assert all(name in shown for name in (SCRIPT, IMAGE, FORMULA, AMPERSAND))
    assert all(name in " ".join(page.texts(".legend")) for name in (SCRIPT, IMAGE))
    page.over(page.point(f"h100/{IMAGE}", 8))
    assert page.find("#tooltip strong").text == IMAGE
    assert IMAGE in page.texts("#services")[0]
    page.find("#flagged").click()
    page.sort(2)
    page.find("#download").click()
    models = {row["model"] for row in page.downloaded("joulebench-leaderboard.csv")}
    assert models == {SCRIPT, IMAGE, f"'{FORMULA}", AMPERSAND}
    page.find("#tasks label:nth-of-type(2)").click()
    assert page.cells("Model") == [f"{IMAGE}+{IMAGE}"]
    assert page.js(inserted) == 0
    again = page.hash()
    page.open("hostile", again + f"&model={SCRIPT}")
    assert page.js(inserted) == 0


def test_nothing_measured_says_so(page: Page) -> None:
    page.open("empty")
    assert "No run has been measured yet: there is nothing to show." in page.texts(".notice")
    assert page.texts(".dt-empty") == ["No model passes the filters."]
    page.find("#download").click()
    assert page.downloaded("joulebench-leaderboard.csv") == []


def test_without_energy_there_are_latencies_and_no_ranks(page: Page) -> None:
    page.open("without_energy")
    assert page.cells("Rank") == ["–"]
    assert page.cells("Energy") == ["not measured"]
    assert page.cells("B") == ["4"], "the point of most responses a second within 50 ms"
    page.type("#target-value", "25")
    assert page.cells("B") == ["2"]
    page.type("#target-value", "5")
    assert page.cells("B") == ["1"], "none is within 5 ms: the one of least latency"
    assert "No energy was measured: latency and throughput alone, without ranks." in page.texts(".notice")
    assert page.texts("#chart p") == ["No energy was measured for these models: there is no trade-off to draw."]


def test_estimates_nulls_and_overload_are_said(page: Page) -> None:
    page.open("estimated")
    assert any(text.startswith("Estimated energy: from a model of the machine") for text in page.texts(".notice"))
    assert any(text.startswith("Synthetic weights: drawn at random") for text in page.texts(".notice"))
    assert page.cells("Energy per response (J, estimated)") == ["1.73", "1.94", "5.00"]
    assert page.texts("#chart .title")[1] == "Energy per response (J, estimated)"
    assert page.texts(".badge.doubt") == ["overloaded"]
    assert page.cells("Rank") == ["1", "2", "–"], "a latency that is not known meets no target"
    page.over(page.point("cpu/a/two", 8))
    assert "Energy, estimated" in page.find("#tooltip").text


def test_sixty_models_are_drawn_and_chosen_at_once(page: Page) -> None:
    page.open("many")
    assert (len(page.all(".series")), len(page.all(".leaderboard tbody tr"))) == (60, 60)
    spent = page.js(
        "const slider = document.getElementById('target-slider'); const begin = performance.now();"
        "for (const place of [20, 40, 60, 80]) { slider.value = place; slider.dispatchEvent(new Event('input')); }"
        "return (performance.now() - begin) / 4"
    )
    assert spent < 1000, "milliseconds a step of the slider: 120 where nothing else runs"


def test_paper_has_the_tables_and_not_the_controls(page: Page) -> None:
    page.open("few", dark=True)
    page.media(dark=True, media="print")
    assert not page.find("#controls").is_displayed()
    assert page.find(".leaderboard").is_displayed()
    assert page.js("return getComputedStyle(document.querySelector('#scroll')).maxHeight") == "none"
    assert page.js(LUMINANCE, ["h1", "color"], ["body", "backgroundColor"]) > 10
    page.media()


def test_a_point_of_arrivals_is_named_by_their_rate(page: Page) -> None:
    page.open("arrivals")
    assert (page.cells("Load"), page.cells("B")) == (["closed-loop", "poisson"], ["512", "256"])
    assert "16 requests/s" in page.texts(".leaderboard small")
    numbers = page.texts(".batches text")
    assert {"8", "512", "1 requests/s", "16 requests/s"} <= set(numbers)
    assert page.texts("#chart-note")[0].startswith("Lines join a model’s settings.")
    assert "16\xa0requests/s" in page.texts(".recommendations td")
    # 4 x 5 x 10 ms x 1.7^2
    assert "TTFT p99 578 ms" in page.texts(".recommendations td")
    assert page.texts("#service option") == ["a-service: TTFT p99 ≤ 2.5 s"]


def test_a_page_of_closed_loops_has_no_column_of_loads(page: Page) -> None:
    page.open("few")
    assert "Load" not in page.texts(".leaderboard thead .dt-column-title")


def test_answers_that_end_otherwise_have_rows_and_ranks_of_their_own(page: Page) -> None:
    page.open("natural")
    # At B = 512: 0.216 times the first. Of Gemma's own answers 2.16 J, of given lengths Llama 4.32 J and Gemma 8.64 J.
    natural = f"{GEMMA} (natural answers)"
    assert page.cells("Model") == [LLAMA, f"{GEMMA}+given", natural]
    assert page.cells("Energy") == ["4.32", "8.64", "2.16"]
    assert page.cells("Rank") == ["1", "2", "1"]
    page.row(f"h100/{natural}").find_element("css selector", "input").click()
    assert natural in page.texts(".compare thead .name")[0]


def test_quality_and_what_a_right_answer_costs_are_columns_where_they_are_known(page: Page) -> None:
    page.open("judged", "#sort=right.asc")
    assert page.cells("Model") == [LLAMA, GEMMA, MISTRAL]
    assert page.cells("Right answers (%)") == ["90.0", "25.0", "–"]
    # 21.6 J / 4 / 0.9 and 8.64 J / 4 / 0.25
    assert page.cells("J per right answer") == ["6.00", "8.64", "–"]
    assert page.cells("Published score") == ["23.74 %", "–", "19.00 %"]
    smalls = page.texts(".leaderboard tbody tr:first-child small")
    assert {"80.0–95.0", "5.12–7.43"} <= set(smalls)  # 21.6 / 4 x 0.9 / 0.95 and x 1.1 / 0.8
    assert page.texts("#notices p") == [
        "Synthetic weights (1 of 3 models): drawn at random for the published shapes.",
        "Published scores are of the published weights, the energy of those that were drawn.",
    ]
    titles = page.js("return [...document.querySelectorAll('td [title]')].map((one) => one.title)")
    assert titles.count(f"{IMAGE}, who, 2025-03-13") == 2
    assert any(f"Published scores: {IMAGE}, who, 2025-03-13" in text for text in page.texts("#sources li"))
    names = page.texts(".leaderboard thead .dt-column-title")
    page.sort(1 + names.index("Right answers (%)"))
    assert page.cells("Model") == [LLAMA, GEMMA, MISTRAL], "the best first, what is not known last"


def test_the_price_of_a_right_answer_is_that_of_the_point_shown(page: Page) -> None:
    page.open("judged", "#target=0.01")
    assert page.cells("B") == ["32", "32", "8"]
    assert page.cells("J per right answer") == ["24.0", "16.7", "–"]  # 24 J / 4 / 0.25, 60 J / 4 / 0.9


def test_quality_is_compared_and_downloaded(page: Page) -> None:
    page.open("judged", f"#select=h100/{LLAMA}&select=h100/{MISTRAL}".replace("/", "%2F"))
    lines = dict(
        page.js(
            "return [...document.querySelectorAll('.compare tbody tr')].map((row) =>"
            "[row.querySelector('th').textContent, [...row.querySelectorAll('td')].map((one) => one.textContent)])"
        )
    )
    assert lines["Right answers (%)"] == ["90.080.0–95.0", "–"]
    assert lines["Judged by"] == ["exact-match", "–"]
    assert lines["Energy per right answer (J)"] == ["6.005.12–7.43", "–"]
    assert lines["Published score"] == ["23.74 %", "19.00 %"]
    assert lines["Who published it"] == ["who, 2025-03-13"] * 2
    page.find("#download").click()
    rows = {row["model"]: row for row in page.downloaded("joulebench-leaderboard.csv")}
    assert (rows[LLAMA]["quality"], rows[LLAMA]["energy_per_right_answer_j"]) == ("0.9", "6")
    assert (rows[MISTRAL]["quality"], rows[MISTRAL]["published_score"]) == ("", "19")


def test_a_page_without_quality_has_no_column_of_it(page: Page) -> None:
    page.open("few")
    names = page.texts(".leaderboard thead .dt-column-title")
    assert not any("right" in name.lower() or "score" in name.lower() for name in names)


def answer_of(page: Page) -> str:
    (text,) = page.texts("#answer p")
    return text.replace("\xa0", " ")


def test_estimates_stand_below_measurements_without_a_rank(page: Page) -> None:
    page.open("mixed", ALL_HARDWARE)
    toy = "a/toy"
    assert page.cells("Model")[-1] == toy
    assert page.cells("Energy")[-1] == "1.73", "less than all others, 8 J x 0.6^3"
    assert page.cells("Rank") == ["1", "2", "≈3", "4", "5", "–", "–", "–"]
    why = "not ranked with measurements: estimated by CodeCarbon (codecarbon_estimate), not measured"
    assert page.texts(".leaderboard tbody tr:last-child .why-below") == [why]
    place = 1 + [name[:6] for name in page.texts(".leaderboard thead .dt-column-title")].index("Energy")
    for _ in range(2):  # up, down
        page.sort(place)
        assert page.cells("Model")[-1] == toy
    assert answer_of(page).startswith(f"{GEMMA} on h100 needs the least energy")
    for group in (f"cpu/{toy}", f"h100/{GEMMA}"):
        page.row(group).find_element("css selector", "input").click()
    assert "an estimate: not compared with measurements" in page.texts(".compare td")
    assert page.texts(".compare td").count("least") == 1
    page.choose("hardware", "cpu")
    assert (page.cells("Model"), page.cells("Rank")) == ([toy], ["1"]), "alone, there is no measurement to stand under"
    assert answer_of(page) == "Nothing was measured here, and an estimate is no answer."


def test_a_budget_that_leaves_an_estimate_alone_gives_it_no_rank(page: Page) -> None:
    page.open("mixed", f"{ALL_HARDWARE}&budget=2")
    assert (page.cells("Model"), page.cells("Rank")) == (["a/toy"], ["–"])


def test_the_page_opens_on_the_first_measured_hardware_and_others_are_a_click_away(page: Page) -> None:
    page.open("mixed")
    names = page.texts("#hardware label")
    assert names == ["cpu", "h100", "a100", "all"], "as they were given"
    assert page.find("#hardware :checked").get_attribute("value") == "h100"
    assert page.cells("Model")[:4] == [GEMMA, LLAMA, MISTRAL, QWEN]
    assert "Hardware" not in page.texts(".leaderboard thead .dt-column-title"), "it would say the same in each row"
    assert len(page.all("#chart .series")) == 5
    assert not any(text.startswith("Estimated energy") for text in page.texts(".notice")), "there is none on it"
    page.find("#hardware label:nth-of-type(3)").click()
    assert (page.cells("Model"), page.cells("Energy")) == ([LLAMA], ["86.4"])
    assert page.hash() == "#hardware=a100"
    page.find("#hardware label:nth-of-type(4)").click()
    assert len(page.cells("Model")) == 8
    assert "Hardware" in page.texts(".leaderboard thead .dt-column-title")
    page.open("mixed", "#hardware=no-such")
    assert page.find("#hardware :checked").get_attribute("value") == "h100"


def test_of_many_the_best_the_selected_and_the_hovered_stand_out_and_all_are_named(page: Page) -> None:
    page.open("many")
    groups = page.js("return [...document.querySelectorAll('tbody tr')].map((one) => one.dataset.group)")
    coloured = "return [...document.querySelectorAll('.series:not(.plain)')].map((one) => one.dataset.group).sort()"
    assert page.js(coloured) == sorted(groups[:5])
    entrants = [group.removeprefix("h100/") for group in groups]
    assert page.texts("#legend > ul li") == entrants[:5]
    assert page.texts("#legend summary") == ["55 others in grey: who they are"]
    assert page.texts("#legend details li") == entrants[5:]
    line = "document.querySelector(`.series[data-group='${arguments[0]}']`)"
    colour = f"return getComputedStyle({line}).getPropertyValue('--c')"
    before, grey = page.js(colour, groups[0]), page.js(colour, groups[40])
    page.find("#legend summary").click()
    page.find(f"#legend li[data-group='{groups[40]}'] button").click()
    assert page.js(coloured) == sorted([*groups[:5], groups[40]])
    assert page.js(colour, groups[0]) == before
    assert page.js(colour, groups[40]) not in (before, grey)
    assert page.find("#legend details").get_attribute("open"), "the list stays open"
    page.over(page.row(groups[50]))
    label = f".series[data-group='{groups[50]}'] .name-label"
    assert page.find(label).text == entrants[50].partition("/")[2]
    assert page.js("return getComputedStyle(document.querySelector(arguments[0])).visibility", label) == "visible"
    page.over(page.find("h1"))
    boxes = page.js(
        "return [...document.querySelectorAll('.name-label.placed')].map((one) => one.getBBox())"
        ".map((box) => [box.x, box.y, box.x + box.width, box.y + box.height])"
    )
    assert boxes
    for place, (left, top, right, bottom) in enumerate(boxes):
        for x, y, end, under in boxes[:place]:
            assert left >= end or right <= x or top >= under or bottom <= y, "names do not cover each other"


def test_the_question_is_answered_in_a_sentence(page: Page) -> None:
    page.open("few")
    assert page.texts("#question-title") == ["Which model needs the least energy for llm-chat?"]
    assert page.texts("#matters label") == ["Energy", "Carbon", "Cost"], "no quality is known of these"
    assert answer_of(page) == (
        f"{GEMMA} on h100 needs the least energy, at B 512: 8.64 J per response (95 %: 8.38–8.99), "
        f"with a median time per output token of 19.7 ms; next is {LLAMA} (21.6)."
    )
    page.choose("matters", "carbon")
    assert page.texts("#question-title") == ["Which model emits the least carbon for llm-chat?"]
    # 8.64 J / 3.6e6 J a kWh x 400 g x 1000
    assert "0.960 gCO₂e per 1,000 responses (95 %: 0.931–0.998)" in answer_of(page)
    page.choose("matters", "cost")
    assert "0.000480 USD per 1,000 responses, with" in answer_of(page)  # 8.64 / 3.6e6 x 0.2 x 1000
    assert "no interval says how sure that is" in answer_of(page)
    again = page.hash()
    page.open("few", again)
    assert page.texts("#question-title") == ["Which model costs the least for llm-chat?"]


def test_the_answer_names_what_it_is_not_told_apart_from(page: Page) -> None:
    page.open("few", "#model=instruct")
    assert answer_of(page).startswith(f"{LLAMA} on h100 needs the least energy, at B 512: 21.6 J per response")
    assert answer_of(page).endswith(f"; not told apart, as the intervals overlap, from {MISTRAL} (22.0).")


def test_the_latency_of_the_question_is_the_pages(page: Page) -> None:
    page.open("few", "#target=0.01")
    assert page.find("#within").get_attribute("value") == "set"
    assert "at B 32: 24.0 J per response" in answer_of(page)  # Gemma: 4 ms x 1.7, 40 J x 0.6
    page.choose("within", "own")
    assert page.find("#target-value").get_attribute("value") == "50"
    page.choose("within", "any")
    assert page.find("#target-value").get_attribute("value") == ""
    assert page.texts("#within option") == ["median time per output token ≤ 50 ms", "any latency"]
    page.type("#target-value", "1")
    assert answer_of(page) == "No model keeps a median time per output token of at most 1 ms."


def test_the_best_answers_and_the_cheapest_right_ones_are_asked_for_where_known(page: Page) -> None:
    page.open("judged", "#matters=quality")
    assert page.texts("#matters label") == ["Energy", "Carbon", "Cost", "Quality", "Right answers per joule"]
    assert f"{LLAMA} on h100 answers best, at B 512: 90.0 % right answers (95 %: 80.0–95.0)" in answer_of(page)
    assert answer_of(page).endswith(f"next is {GEMMA} (25.0).")
    page.choose("matters", "right")
    assert "6.00 J per right answer (95 %: 5.12–7.43)" in answer_of(page)


def test_answers_of_different_work_have_a_sentence_each(page: Page) -> None:
    page.open("natural")
    given, own = (text.replace("\xa0", " ") for text in page.texts("#answer p"))
    assert given.startswith(f"Answers of given lengths: {LLAMA} on h100 needs the least energy, at B 512: 4.32 J")
    assert own.startswith(f"Answers as the model ends them: {GEMMA} (natural answers) on h100")
    assert own.endswith("; there is no other to compare it with.")


def test_a_variant_is_not_held_against_another_on_other_hardware(page: Page) -> None:
    page.open("variants")
    assert page.texts(".sides tbody th") == [LLAMA]
    assert page.texts(".sides td .number") == ["21.6", "86.4"]


def test_what_was_measured_on_several_hardware_is_side_by_side(page: Page) -> None:
    page.open("few")
    assert page.texts(".sides thead th") == ["Model", "h100 (J)", "a100 (J)"]
    assert page.texts(".sides tbody th") == [LLAMA], "the others are on the H100 alone"
    assert page.texts(".sides td .number") == ["21.6", "86.4"]
    small = [text.replace("\xa0", " ") for text in page.texts(".sides td small")]
    # 86.4 J is four times 21.6 J
    assert small == ["21.0–22.5", "B 512", "least", "83.8–89.9", "B 512", "+300 %"]
    page.type("#target-value", "8.5")  # 8 and 9 ms at B 8
    assert page.texts(".sides td small")[-1] == "misses the target"
    page.find("#tasks label:nth-of-type(2)").click()
    assert not page.find("#sides-section").is_displayed()
