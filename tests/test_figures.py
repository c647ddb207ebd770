"""The figures: what they say, that names stay text, and that the same tables give the same bytes."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import polars as pl
import pytest
from building import fitted, table_of
from drawn import SVG, texts

from joulebench import figures
from joulebench.analysis.choices import pooled
from joulebench.analysis.frontier import frontier
from joulebench.config.services import LatencyTarget
from joulebench.errors import UserError
from joulebench.figures import captions, placement, render, style
from joulebench.figures.axes import Axis
from joulebench.figures.placement import Box, Mark
from joulebench.tables.files import write_csv
from joulebench.tables.schemas import LEADERBOARD, POINTS, TRACE

LLAMA, QWEN, GEMMA = "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B", "google/gemma-3-1b-it"
MISTRAL, PHI = "mistralai/Mistral-Small-24B-Instruct-2501", "microsoft/phi-4"
FLUX, SD, PIXART = "black-forest-labs/FLUX.1-schnell", "stabilityai/stable-diffusion-3.5-medium", "PixArt-alpha/Sigma"
# task, model, variant, batch sizes, energy per response at the first (J), latency at the first (s)
SWEEPS = [
    ("llm-chat", LLAMA, None, (4, 8, 16, 32, 64, 128, 256), 360.0, 0.010),
    ("llm-chat", LLAMA, "fp8", (4, 8, 16, 32, 64, 128, 256), 280.0, 0.007),
    ("llm-chat", QWEN, None, (2, 4, 8, 16, 32), 2300.0, 0.031),
    ("llm-chat", GEMMA, None, (4, 8, 16, 32, 64, 128, 256), 64.0, 0.005),
    ("llm-chat", MISTRAL, None, (1, 2, 4, 8, 16, 32), 5100.0, 0.061),
    ("llm-chat", PHI, None, (2, 4, 8, 16, 32), 1100.0, 0.016),
    ("text-to-image", FLUX, None, (1, 2, 4, 8), 1500.0, 1.0),
    ("text-to-image", SD, None, (1, 2, 4, 8, 16), 820.0, 2.0),
    ("text-to-image", PIXART, None, (1, 2, 4, 8, 16), 620.0, 2.4),
]
# In billions.
SIZES = {LLAMA: 8.0, QWEN: 32.8, GEMMA: 1.0, MISTRAL: 23.6, PHI: 14.7, FLUX: 16.9, SD: 8.1, PIXART: 5.4}
# Figures of text tasks alone, and of those that are of no text task.
OF_ONE_TASK = {
    "prefill_decode",
    "queue_against_stationary",
    "energy_by_batch_size",
    "power_limit",
    "output_length",
    "diffusion_batch_size",
}
TARGETS = {
    "llm-chat": LatencyTarget(metric="tpot", quantile=50, at_most_s=0.05),
    "text-to-image": LatencyTarget(metric="latency", quantile=50, at_most_s=5),
}
HOSTILE = "</script><script>alert(1)</script>"


def parts_of(joules: float) -> dict[str, float]:
    """100 prompt tokens that take a fifth of a response's energy, and 400 output tokens."""
    figures = {"mean_prompt_tokens": 100.0, "mean_output_tokens": 400.0, "response_output_tokens": 400.0}
    figures["response_prompt_tokens"] = 100.0
    figures["queue_energy_per_output_token_j"] = 0.95 * joules / 400
    each_token = {"output": joules / 400, "prompt": 0.2 * joules / 100, "decoded": 0.8 * joules / 400}
    for name, each in each_token.items():
        for bound, share in (("", 1.0), ("_low", 0.9), ("_high", 1.1)):
            figures[f"energy_per_{name}_token{bound}_j"] = each * share
    for bound, share in (("", 1.0), ("_low", 0.97), ("_high", 1.04)):
        figures[f"energy_per_output_token{bound}_j"] = joules / 400 * share
        figures[f"plain_energy_per_output_token{bound}_j"] = joules / 400 * share
    return figures


def example(**changes: object) -> pl.DataFrame:
    """points.csv of nine sweeps on an H100; the last point of Qwen's is overloaded."""
    rows = []
    for task, model, variant, batches, energy, latency in SWEEPS:
        for step, batch in enumerate(batches):
            joules, seconds = energy / 1.6**step, latency * 1.3**step
            rows.append(
                {
                    "task": task,
                    "model": model,
                    "variant": variant,
                    "parameters": round(SIZES[model] * 1e9),
                    "weights": "checkpoint",
                    "hardware": "h100",
                    "device": "NVIDIA H100 80GB HBM3",
                    "axis": "max_batch_size",
                    "max_batch_size": batch,
                    "status": "overloaded" if (model, step) == (QWEN, 4) else "measured",
                    "energy_source": "nvml_counter",
                    "energy_per_response_j": joules,
                    "energy_per_response_low_j": joules * 0.97,
                    "energy_per_response_high_j": joules * 1.04,
                    "gpus": 1,
                    "tdp_w": 700.0,
                    "power_w": 400.0 if model == QWEN else 700.0 / 1.3,
                    "tdp_estimate_j": joules * 1.3,
                    **(parts_of(joules) if task == "llm-chat" else {}),
                    "tpot_p50_s" if task == "llm-chat" else "latency_p50_s": seconds,
                    "measured_on": "2025-11-02",
                    **changes,
                }
            )
    return table_of(POINTS, *rows)


def best(points: pl.DataFrame) -> pl.DataFrame:
    """leaderboard.csv of the example: a model's last point, which Mistral's target is too strict for."""
    last = pooled(points).group_by("task", "model", maintain_order=True).last()
    found = last.with_columns(
        rank=pl.lit(1, pl.Int64),
        meets_latency_target=pl.col("model") != MISTRAL,
        latency_target=pl.col("task").replace_strict({task: str(target) for task, target in TARGETS.items()}),
        published_score=pl.col("parameters") / 1e9,
        published_score_name=pl.lit("a score"),
        published_score_source=pl.lit("others"),
        published_score_date=pl.lit("2025-01-02"),
    )
    return fitted(found, LEADERBOARD)


def traced(points: pl.DataFrame) -> pl.DataFrame:
    """trace.csv of the first point of Qwen's, however it is called."""
    known = pl.col("energy_per_response_j").is_not_null()
    stretches = [(-1.0, 0.0, 120.0, None, None), (0.0, 2.0, 380.0, 2.0, "queue"), (2.0, 9.0, 410.0, 2.0, "stationary")]
    names = ("start_s", "end_s", "power_w", "running", "window")
    rows = [
        {**point, "device": "gpu:0", **dict(zip(names, stretch, strict=True))}
        for point in points.filter((pl.col("max_batch_size") == 2) & known).head(1).iter_rows(named=True)
        for stretch in stretches
    ]
    return pl.DataFrame([{name: row[name] for name in TRACE} for row in rows], schema=TRACE)


def without(points: pl.DataFrame, *stems: str) -> pl.DataFrame:
    return points.with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in points.columns if name.startswith(stems)
    )


def draw(name: str, points: pl.DataFrame) -> Any:
    given = {"points": points, "leaderboard": best(points), "trace": traced(points)}
    if name == "time_energy_frontier":
        usable = points.with_columns(verdict=pl.col("verdict").fill_null("valid"), responses_per_s=pl.lit(1.0))
        given["pareto"] = frontier(usable, {})
    if name == "hardware_compared":
        given["leaderboard"] = pl.concat([best(points), best(points.with_columns(hardware=pl.lit("h200")))])
    return figures.draw(name, given, TARGETS)


def texts_of(name: str, points: pl.DataFrame, folder: Path) -> list[str]:
    return texts(draw(name, points), folder)


class Scripts(HTMLParser):
    """The scripts of a page, as a browser would cut them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self.inside = False
        self.remote: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.remote += [value or "" for key, value in attrs if key in ("src", "href")]
        self.inside = tag == "script"
        if self.inside:
            self.found.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self.inside:
            attrs, text = self.found[-1]
            self.found[-1] = (attrs, text + data)


@pytest.mark.slow
def test_bars_name_every_model_with_its_energy_and_batch_size(tmp_path: Path) -> None:
    found = texts_of("energy_per_response", example(), tmp_path)
    # The last of seven steps down by 1.6 from 280 J: 280 / 1.6^6 = 16.69.
    assert {"16.7 J, B = 256", "351 J, B = 32", "486 J, B = 32, misses latency target"} <= set(found)
    assert {f"{LLAMA}+fp8", QWEN, GEMMA, MISTRAL, PHI, FLUX, SD, PIXART} <= set(found)
    assert found.count("Energy per response (J)") == 2
    assert {"measured", "measured, misses the latency target", "if the device drew its TDP throughout"} <= set(found)
    # In the order of energy, from the top.
    order = [text for text in found if text in (f"{LLAMA}+fp8", QWEN, GEMMA, MISTRAL, PHI)]
    assert order == [GEMMA, f"{LLAMA}+fp8", PHI, QWEN, MISTRAL]


@pytest.mark.slow
def test_lines_name_every_run_and_both_axes(tmp_path: Path) -> None:
    found = texts_of("time_energy_tradeoff", example(), tmp_path)
    assert {"Median time per output token (s)", "Median latency of a batch (s)", "Energy per response (J)"} <= set(
        found
    )
    runs = [LLAMA, f"{LLAMA}+fp8", QWEN, GEMMA, MISTRAL, PHI, FLUX, SD, PIXART]
    assert [found.count(run) for run in runs] == [1] * len(runs)
    assert {"target 0.05 s", "target 5 s"} <= set(found)
    assert "Hollow points: overloaded (memory, not the maximum, limits the batch)." in found
    assert found.count("256") == 3
    assert not any(re.fullmatch(r"[\d.]+(e.*|\D)", text) for text in found)  # no 1e-2, no 5m


@pytest.mark.slow
def test_points_that_are_flagged_are_owned_up_to_and_invalid_ones_not_drawn(tmp_path: Path) -> None:
    valid = example(verdict="valid")
    first = pl.col("max_batch_size") == pl.col("max_batch_size").min().over("task", "model", "variant")
    flagged = valid.with_columns(verdict=pl.when(first).then(pl.lit("flagged: drift")).otherwise("verdict"))
    invalid = valid.with_columns(verdict=pl.when(first).then(pl.lit("invalid: clock step")).otherwise("verdict"))

    def owned_up(points: pl.DataFrame) -> bool:
        return any("flagged points included" in text for text in texts_of("time_energy_tradeoff", points, tmp_path))

    assert (owned_up(valid), owned_up(flagged), owned_up(invalid)) == (False, True, False)
    # The first points: six runs of llm-chat at B = 1, 2 or 4, three of text-to-image at 1.
    left = texts_of("time_energy_tradeoff", invalid, tmp_path)
    assert "not drawn, without energy or latency: 6 invalid" in left
    assert "not drawn, without energy or latency: 3 invalid" in left
    assert "1" in texts_of("time_energy_tradeoff", valid, tmp_path)
    assert "1" not in left


@pytest.mark.slow
def test_a_model_that_a_check_left_out_says_so(tmp_path: Path) -> None:
    left_out = pl.col("model") == PHI

    def save(where: pl.Expr) -> list[str]:
        rows = best(example(verdict="valid")).with_columns(
            energy_per_response_j=pl.when(~where).then("energy_per_response_j"),
            verdict=pl.when(where).then(pl.lit("flagged: drift (5, at most 3)")).otherwise("verdict"),
        )
        return texts(figures.draw("energy_per_response", {"leaderboard": rows}, {}), tmp_path)

    assert "left out: flagged, B = 32" in save(left_out)
    assert "No point of text-to-image passed every check: there are no bars to draw." in save(
        pl.col("task") == "text-to-image"
    )


@pytest.mark.slow
def test_repeats_are_one_point_of_their_mean(tmp_path: Path) -> None:
    once = example(repeat=1, verdict="valid")
    more = [
        once.with_columns(
            repeat=pl.lit(repeat, pl.Int64), energy_per_response_j=pl.col("energy_per_response_j") * share
        )
        for repeat, share in ((2, 1.02), (3, 1.04))
    ]
    doubtful = once.with_columns(
        repeat=pl.lit(4, pl.Int64), energy_per_response_j=pl.lit(1e9), verdict=pl.lit("flagged: it moves")
    )
    points = pl.concat([once, *more, doubtful])
    tradeoff = texts_of("time_energy_tradeoff", points, tmp_path)
    assert tradeoff.count("256") == 3
    drawn = draw("time_energy_tradeoff", points).to_dict()["datasets"]
    (curves,) = [
        rows for rows in drawn.values() if {row.get("run") for row in rows} >= {LLAMA, QWEN} and "energy" in rows[0]
    ]
    first = [row["energy"] for row in curves if (row["run"], row["axis_value"]) == (LLAMA, 4)]
    assert first == [pytest.approx(360 * 1.02)]  # the mean of 1, 1.02 and 1.04
    means = "Means of 3 repeats, each from a new start of the engine; their intervals hold what differs between them."
    assert means in tradeoff
    assert means in texts_of("energy_per_response", points.filter(pl.col("repeat") < 4), tmp_path)
    assert not any(text.startswith("Means of") for text in texts_of("time_energy_tradeoff", once, tmp_path))


@pytest.mark.slow
def test_bars_part_the_energy_of_prompt_and_output(tmp_path: Path) -> None:
    found = texts_of("prefill_decode", example(), tmp_path)
    # Gemma's last of seven steps down by 1.6 from 64 J: 64 / 1.6^6 = 3.815 J, a fifth of it for 100 prompt tokens.
    assert "0.763 J prompt (20 %) + 3.05 J output" in found
    assert "100 prompt tokens at 0.00763 J, 400 output tokens at 0.00763 J, B = 256" in found
    assert [run for run in found if run in (GEMMA, PHI, QWEN, MISTRAL, FLUX)] == [GEMMA, PHI, QWEN, MISTRAL]
    assert {"prompt (prefill)", "output (decode)"} <= set(found)
    assert "both, not told apart" not in found


def test_the_bar_of_the_output_begins_where_that_of_the_prompt_ends(tmp_path: Path) -> None:
    drawn = draw("prefill_decode", example()).to_dict()["datasets"]
    bars = [
        row for rows in drawn.values() for row in rows if row.get("run") == GEMMA and "label" in row and "part" in row
    ]
    joules = 64 / 1.6**6
    ends = [(row["part"], row["start"], row["end"], row["low"], row["high"]) for row in bars]
    assert ends == [
        ("prompt (prefill)", 0.0, *(pytest.approx(share * joules) for share in (0.2, 0.18, 0.22))),
        ("output (decode)", *(pytest.approx(share * joules) for share in (0.2, 1.0, 0.92, 1.08))),
    ]


@pytest.mark.slow
def test_parts_that_may_be_nothing_are_one_bar(tmp_path: Path) -> None:
    doubtful = pl.when(pl.col("model") != GEMMA).then(pl.col("energy_per_prompt_token_low_j")).otherwise(-0.001)
    found = texts_of("prefill_decode", example().with_columns(energy_per_prompt_token_low_j=doubtful), tmp_path)
    assert "3.81 J: its parts are not known well enough" in found
    assert {"both, not told apart", "100 prompt tokens, 400 output tokens, B = 256"} <= set(found)


@pytest.mark.slow
def test_without_parts_the_figure_says_so_in_words(tmp_path: Path) -> None:
    whole = without(example(), "energy_per_prompt_token", "energy_per_decoded_token")
    found = texts_of("prefill_decode", whole, tmp_path)
    assert "The energy of llm-chat is known as a whole alone: its answers ended by themselves, or too soon." in found
    gone = pl.when(pl.col("model") != PHI).then(pl.col("energy_per_prompt_token_j"))
    some = texts_of("prefill_decode", example().with_columns(energy_per_prompt_token_j=gone), tmp_path)
    assert "not drawn, without the energy of its parts: 1 of 5 models" in some
    images = texts_of("prefill_decode", example().filter(pl.col("task") == "text-to-image"), tmp_path)
    assert any(text.startswith("No text task is among the results") for text in images)


@pytest.mark.slow
def test_without_energy_the_figures_say_so_in_words(tmp_path: Path) -> None:
    points = without(example(energy_source=None), "energy_per", "plain_energy_per", "tdp_estimate", "power")
    for name in figures.FIGURES:
        found = texts_of(name, points, tmp_path)
        tasks = 1 if name in OF_ONE_TASK else 2
        assert sum(text.startswith("No energy was measured for") for text in found) == tasks
        assert any("no energy source: energy not shown" in text for text in found)
        assert not any(text.startswith("Energy per response (J)") for text in found)


@pytest.mark.slow
def test_an_estimate_is_named_an_estimate_and_needs_no_interval(tmp_path: Path) -> None:
    points = without(
        example(energy_source="codecarbon_estimate"),
        "energy_per_response_low",
        "energy_per_response_high",
        "tdp_estimate",
    )
    bars = texts_of("energy_per_response", points, tmp_path)
    assert bars.count("Energy per response (J), estimated") == 2
    assert {"estimated", "estimated, misses the latency target"} <= set(bars)
    assert not {"measured", "if the device drew its TDP throughout"} & set(bars)
    assert not any("95 %" in text for text in bars)
    lines = texts_of("time_energy_tradeoff", points, tmp_path)
    assert lines.count("Energy per response (J), estimated") == 2


@pytest.mark.slow
def test_a_model_without_energy_keeps_its_row_and_is_counted(tmp_path: Path) -> None:
    gone = pl.col("model") == PHI
    figured = ["energy_per_response_j", "energy_per_response_low_j", "energy_per_response_high_j", "tdp_estimate_j"]
    points = example().with_columns(
        *(pl.when(~gone).then(pl.col(name)).alias(name) for name in figured),
        status=pl.when(gone).then(pl.lit("out_of_memory")).otherwise("status"),
    )
    assert "no energy (out of memory), B = 32" in texts_of("energy_per_response", points, tmp_path)
    tradeoff = texts_of("time_energy_tradeoff", points, tmp_path)
    assert "not drawn, without energy or latency: 5 out_of_memory" in tradeoff


@pytest.mark.slow
def test_empty_tables_are_drawn_as_a_sentence(tmp_path: Path) -> None:
    for name in figures.FIGURES:
        assert any("No run has been measured yet" in text for text in texts_of(name, example().clear(), tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_hostile_name_is_text_in_every_format(name: str, tmp_path: Path) -> None:
    points = example().with_columns(pl.col("model").replace({QWEN: HOSTILE, FLUX: HOSTILE}))
    assert any(HOSTILE in text for text in texts_of(name, points, tmp_path))
    assert not list(ElementTree.parse(tmp_path / "figure.svg").iter(f"{SVG}script"))
    render.save(draw(name, points), [tmp_path / "page.html"])
    page = Scripts((tmp_path / "page.html").read_text())
    assert len(page.found) == 3
    assert not page.remote
    [spec] = [text for attrs, text in page.found if attrs.get("id") == "spec"]
    assert any(HOSTILE in (row.get("run") or "") for rows in json.loads(spec)["datasets"].values() for row in rows)


@pytest.mark.slow
def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.{kind}" for name in figures.FIGURES for kind in ("svg", "png", "html")]
    for path in paths:
        render.save(draw(path.stem, example()), [path])
    first = [path.read_bytes() for path in paths]
    assert all(first)
    for name in figures.FIGURES:
        chart = draw(name, example())
        render.save(chart, [path for path in paths if path.stem == name])
    assert [path.read_bytes() for path in paths] == first
    assert sorted(tmp_path.iterdir()) == sorted(paths)


@pytest.mark.slow
def test_another_process_gives_the_same_bytes(tmp_path: Path) -> None:
    write_csv(example(), POINTS, tmp_path / "points.csv")
    program = (
        "import sys; from pathlib import Path; from joulebench import figures; "
        "from joulebench.tables.files import read_csv; from joulebench.tables.schemas import POINTS; "
        "from joulebench.config.services import targets_of; "
        "from joulebench.figures import render; folder = Path(sys.argv[1]); "
        "points = read_csv(folder / 'points.csv', POINTS); "
        "targets = targets_of({'llm-chat': {'metric': 'tpot', 'quantile': 50, 'at_most_s': 0.05}}); "
        "chart = figures.draw('time_energy_tradeoff', {'points': points}, targets); "
        "render.save(chart, [folder / sys.argv[2]])"
    )
    found = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", program, tmp_path, f"{seed}.svg"], check=True, env=environment)
        found.append((tmp_path / f"{seed}.svg").read_bytes())
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="fontconfig's file tells vl-convert where fonts are on Linux alone")
def test_the_fonts_of_the_system_change_nothing(tmp_path: Path) -> None:
    chart = draw("energy_per_response", example())
    render.save(chart, [tmp_path / "here.svg", tmp_path / "here.png"])
    (tmp_path / "chart.json").write_text(json.dumps(chart.to_dict()))
    program = (
        "import sys; from pathlib import Path; import altair as alt; from joulebench.figures import render; "
        "chart = alt.Chart.from_json(Path('chart.json').read_text()); "
        "render.save(chart, [Path(sys.argv[1] + '.svg'), Path(sys.argv[1] + '.png')]); "
        "chart.config.font = 'Liberation Sans'; render.save(chart, [Path(sys.argv[1] + '.liberation.svg')])"
    )
    for system, fonts in {"none": [], "foreign": foreign_fonts()}.items():
        folder = tmp_path / f"{system}.fonts"
        folder.mkdir()
        for number, font in enumerate(fonts):
            (folder / f"{number}.ttf").write_bytes(font)
        (tmp_path / f"{system}.conf").write_text(f"<fontconfig><dir>{folder}</dir></fontconfig>")
        environment = {**os.environ, "FONTCONFIG_FILE": str(tmp_path / f"{system}.conf")}
        subprocess.run([sys.executable, "-c", program, system], check=True, env=environment, cwd=tmp_path)
    for suffix in (".svg", ".png"):
        found = [(tmp_path / name).with_suffix(suffix).read_bytes() for name in ("here", "none", "foreign")]
        assert found[0] == found[1] == found[2], suffix
    # The foreign fonts do reach vl-convert: a chart that asks for their name is drawn with them.
    assert (tmp_path / "none.liberation.svg").read_bytes() != (tmp_path / "foreign.liberation.svg").read_bytes()


def foreign_fonts() -> list[bytes]:
    """Our fonts, twice as wide, as "Liberation Sans": what a system may hold under the name."""
    found = []
    ours, other = (f"{name} Sans".encode("utf-16-be") for name in ("Joulebench", "Liberation"))
    for path in sorted((Path(render.__file__).parent / "fonts").glob("*.ttf")):
        font = bytearray(path.read_bytes().replace(ours, other))
        entry = font.index(b"head", 12)
        units_per_em = int.from_bytes(font[entry + 8 : entry + 12]) + 18
        assert int.from_bytes(font[units_per_em : units_per_em + 2]) == 2048
        font[units_per_em : units_per_em + 2] = (1024).to_bytes(2)
        found.append(bytes(font))
    assert len(found) == 2
    return found


@pytest.mark.slow
def test_the_png_has_two_pixels_a_point(tmp_path: Path) -> None:
    chart = draw("energy_per_response", example())
    render.save(chart, [tmp_path / "a.svg", tmp_path / "a.png"])
    svg = ElementTree.parse(tmp_path / "a.svg").getroot()
    png = (tmp_path / "a.png").read_bytes()
    width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))
    assert (width, height) == (2 * int(svg.attrib["width"]), 2 * int(svg.attrib["height"]))


def test_the_script_of_pages_is_built_once_and_needs_no_place_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(snippet: str, vl_version: str) -> str:
        built.append(vl_version)
        return "/* the script */"

    monkeypatch.setattr(render.vl_convert, "javascript_bundle", build)
    (tmp_path / "file").touch()
    chart = style.figure("a title", [], [])
    for place, times in (("cache", 1), ("cache", 1), ("file", 2)):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
        render._bundle.cache_clear()  # as another process finds it
        render.save(chart, [tmp_path / "page.html"])
        assert "<script>/* the script */</script>" in (tmp_path / "page.html").read_text()
        assert len(built) == times
    render._bundle.cache_clear()


@pytest.mark.slow
def test_an_unknown_suffix_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    chart = draw("energy_per_response", example())
    with pytest.raises(UserError, match=r"a\.pdf: a figure is written as \.svg, \.png, \.html"):
        render.save(chart, [tmp_path / "a.svg", tmp_path / "a.pdf"])
    assert not list(tmp_path.iterdir())


def test_an_unknown_figure_gets_the_nearest_name() -> None:
    with pytest.raises(UserError, match="no figure 'energy_per_respons'; did you mean 'energy_per_response'"):
        figures.draw("energy_per_respons", {"points": example()}, {})


def test_the_subtitle_spells_out_hardware_source_dates_and_weights() -> None:
    points = example()
    assert captions.subtitle(points) == [
        "NVIDIA H100 80GB HBM3 (h100) · energy from the NVML energy counter (nvml_counter) · measured 2025-11-02"
    ]
    synthetic = pl.when(pl.col("model") == QWEN).then(pl.lit("synthetic")).otherwise("weights")
    days = pl.when(pl.col("task") == "llm-chat").then(pl.lit("2025-10-30")).otherwise("measured_on")
    mixed = captions.subtitle(points.with_columns(weights=synthetic, measured_on=days))
    assert mixed == [
        "NVIDIA H100 80GB HBM3 (h100) · energy from the NVML energy counter (nvml_counter)",
        "measured 2025-10-30 to 2025-11-02 · synthetic weights (1 of 8 models)",
    ]
    cpu = example(
        weights="synthetic", energy_source="codecarbon_estimate", device=None, hardware="cpu", measured_on=None
    )
    assert captions.subtitle(cpu) == [
        "cpu · energy estimated by CodeCarbon (codecarbon_estimate), not measured · synthetic weights"
    ]
    assert captions.energy_sources(example(energy_source="nvml_power+rapl")) == [
        "energy integrated from NVML power readings (nvml_power)",
        "energy from the RAPL counters (rapl)",
    ]


def test_a_sum_of_measured_and_estimated_energy_is_partly_estimated() -> None:
    assert captions.energy_title(example(energy_source="codecarbon_estimate+nvml_counter")) == (
        "Energy per response (J), partly estimated"
    )


@pytest.mark.parametrize(
    ("quantile", "at_most_s", "words"),
    [
        (50, 0.2, ["latency target: median time per output token at most 0.2 s"]),
        (99, 1e-05, ["latency target: 99th percentile of time per output token at most 1e-05 s"]),
    ],
)
def test_latency_targets_in_words(quantile: Literal[50, 99], at_most_s: float, words: list[str]) -> None:
    assert captions.latency_target(LatencyTarget(metric="tpot", quantile=quantile, at_most_s=at_most_s)) == words
    assert captions.latency_target(None) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.012345, "0.0123"), (6.5, "6.50"), (9.996, "10.0"), (999.6, "1,000"), (12345.0, "12,300")],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert style.significant(value) == text


def test_long_names_break_after_a_separator_and_lose_nothing() -> None:
    name = "an-organisation-of-some-length/A-Model-With-A-Name-Of-Many-Words-70B-Instruct+fp8"
    lines = style.wrapped(name).split("\n")
    assert lines == [
        "an-organisation-of-some-length/A-Model-With-",
        "A-Name-Of-Many-Words-70B-Instruct+fp8",
    ]
    assert "".join(style.wrapped("x" * 100).split("\n")) == "x" * 100


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        (style.linear_ticks(0, 760), [0, 200, 400, 600]),
        (style.linear_ticks(0.0041, 0.0532), [0.01, 0.02, 0.03, 0.04, 0.05]),
        (style.log_ticks(0.004, 0.3), [0.005, 0.01, 0.02, 0.05, 0.1, 0.2]),
        (style.log_ticks(0.5, 2e5), [1, 10, 100, 1000, 10000, 100000]),
    ],
)
def test_ticks_are_round_numbers(ticks: list[float], expected: list[float]) -> None:
    assert ticks == pytest.approx(expected)


def test_an_axis_is_logarithmic_past_a_decade_only() -> None:
    assert not Axis.over([1.0, 9.9], 100).log
    assert not Axis.over([0.0, 50.0], 100).log
    axis = Axis.over([1.0, 10.1], 100)
    assert axis.log
    assert axis.px((axis.low * axis.high) ** 0.5) == pytest.approx(50)
    assert axis.value(axis.px(3.0)) == pytest.approx(3.0)
    alone = Axis.over([4.0], 100)
    assert alone.low < 4.0 < alone.high


def test_labels_cover_neither_points_nor_each_other() -> None:
    marks = [Mark(20 + 9 * k, 50 + (k % 3), 14, 9) for k in range(12)]
    centres = placement.place(marks, placement.Plot(140, 100, 4))
    boxes = [Box.around(*centre, 7, 4.5) for centre in centres if centre]
    points = [Box.around(mark.x, mark.y, 4, 4) for mark in marks]
    assert len(boxes) > 6
    for index, box in enumerate(boxes):
        assert not box.meets(points)
        assert not box.meets(boxes[:index])
        assert box.left >= 0
        assert box.right <= 140


def test_a_label_without_room_is_left_out_and_lines_are_avoided_where_they_can_be() -> None:
    assert placement.place([Mark(5, 5, 40, 9)], placement.Plot(10, 10, 4)) == [None]
    [centre] = placement.place(
        [Mark(50, 50, 10, 9)], placement.Plot(100, 100, 4, placement.along([[(50, 0), (50, 100)]]))
    )
    assert centre is not None
    assert abs(centre[0] - 50) > 6
    wall = [Box(0, 0, 100, 100)]
    assert placement.place([Mark(50, 50, 10, 9)], placement.Plot(100, 100, 4, wall)) != [None]
    assert placement.place([Mark(50, 50, 10, 9)], placement.Plot(100, 100, 4, wall), over_lines=False) == [None]


def test_a_name_tells_what_its_row_is_of() -> None:
    def names(*rows: dict[str, Any]) -> list[str]:
        return table_of(POINTS, *rows).select(captions.run_name()).to_series().to_list()

    drawn, trained = {"model": "a", "weights": "synthetic"}, {"model": "b", "weights": "checkpoint"}
    assert names(drawn, drawn | {"variant": "fp8"}) == ["a", "a+fp8"]
    assert names(drawn | {"variant": "fp8"}, trained) == ["a+fp8", "b (trained)"]
    assert names(trained | {"answers": "natural"}, trained | {"answers": "reference", "variant": "x"}) == [
        "b (natural answers)",
        "b+x",
    ]
    assert names(trained | {"answers": "natural"}, drawn) == ["b (trained, natural answers)", "a"]
