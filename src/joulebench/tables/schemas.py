"""The tables that people read: their columns, those of a point (tables.point) and their own."""

from collections.abc import Iterable

import polars as pl

from joulebench.tables.columns import BOUNDS, ON_PAGE, Column, count, figure, interval, pick, text
from joulebench.tables.point import AT, CONDITIONS, LATENCY, MEMORY, PER_KWH, POINT

_POINTS_ONLY = (
    *pick(POINT, "repeat", "ended_by", "start", "unchecked", "ttft_share"),
    *CONDITIONS,
    *pick(POINT, *MEMORY, *(f"{what}{bound}_per_kwh" for what in PER_KWH for bound in BOUNDS)),
    *(column for column in LATENCY if column.is_bound),
)
_NAMED = pick(POINT, "task", "model", "variant")
_AT = pick(POINT, *AT)
_LATENCY_TARGET = text("latency_target", "The latency target.")
_TIED_WITH = text("tied_with", "Points that are not told apart from this one, their intervals overlapping.")
_REPEATS = count("repeats", "How many repeats the figures are means of.", ON_PAGE)

_CHOICE = (
    *pick(POINT, "task", "dataset", "model", "variant", "answers", "hardware", "card", "engine", "dtype", "gpus", *AT),
    _REPEATS,
    *pick(POINT, "status", "verdict", "energy_source", *(f"energy_per_response{bound}_j" for bound in BOUNDS)),
    *pick(POINT, "responses_per_s", "output_tokens_per_s"),
)
"""A pooled point that a table offers for choice."""

_QUALITY_OF_ROW = (
    text("quality_metric", "How right answers were told from wrong ones; null: no answer was judged.", ON_PAGE),
    *interval(
        "quality{}",
        "The share of right answers of the row's model variant (Wilson's interval); null for drawn weights.",
        ON_PAGE,
    ),
    *interval(
        "energy_per_right_answer{}_j",
        "Energy of the judged answers' mean tokens at the row's point, over the share of right ones.",
        ON_PAGE,
    ),
    figure("published_score", "A score that others published of the model's own weights; null: none known.", ON_PAGE),
    text("published_score_name", "What that score is.", ON_PAGE),
    text("published_score_unit", "Its unit, if any.", ON_PAGE),
    text("published_score_source", "Who published it, and where.", ON_PAGE),
    text("published_score_date", "The day that the scores are of, as the config says.", ON_PAGE),
)

_LEADERBOARD = (
    count(
        "rank",
        "Place by energy per response, within the task and the kind of answers; null without an energy, or beyond the "
        "latency target.",
    ),
    Column("meets_latency_target", pl.Boolean, None, "Whether the point keeps the task's latency target."),
    _LATENCY_TARGET,
    *(column for column in POINT if column not in _POINTS_ONLY),
    _REPEATS,
    figure("between_run_sd_j", "Standard deviation of the energy per response over the repeats.", ON_PAGE),
    figure("within_run_sd_j", "Standard error of the energy per response within a run, as its intervals say."),
    _TIED_WITH,
    *_QUALITY_OF_ROW,
)

_PARETO = (
    *_CHOICE,
    text("latency_metric", "The column of points that latency_s is."),
    *interval("latency{}_s", "The latency that the frontier trades energy against."),
    _TIED_WITH,
)

_RECOMMENDATIONS = (
    text("service", "The service whose latency is to be kept."),
    _LATENCY_TARGET,
    *_CHOICE,
    text("latency", "What the latency target asks for, as it was found."),
    *interval(
        "saves_against_least_latency{}_percent", "Energy per response saved against the point of least median latency."
    ),
    count("least_latency_batch_size", "B of the point whose median latency is least."),
    text("least_latency_variant", "That point's variant."),
    text("least_latency_tied_with", "Points whose median latency is not told apart from that point's."),
    *interval("saves_against_largest_batch{}_percent", "Energy per response saved against the largest batch."),
    count("largest_batch_size", "That point's B."),
    text("largest_variant", "That point's variant."),
    _TIED_WITH,
    text("undecided", "Points that may keep the latency or not: their intervals hold what is allowed."),
    text("reason", "Where no point keeps the latency: what was nearest."),
)

_FOOTPRINT = (
    *(*_NAMED, *_AT),
    *pick(POINT, "repeat", "energy_source"),
    figure(
        "pue",
        "Power usage effectiveness that the energy is multiplied with: the building's energy over its machines'.",
        ON_PAGE,
    ),
    *interval("energy_with_pue_per_response{}_j", "Energy per response times the PUE.", ON_PAGE),
    figure("carbon_g_per_kwh", "Carbon intensity of the electricity.", ON_PAGE),
    text("carbon_source", "Where the carbon intensity is from.", ON_PAGE),
    *interval(
        "carbon_per_response{}_g", "Carbon per response: of the electricity used, not of making the hardware.", ON_PAGE
    ),
    text("currency", "Of the costs.", ON_PAGE),
    figure("electricity_cost_per_response", "Cost of the electricity of a response, in `currency`.", ON_PAGE),
    figure("gpu_cost_per_response", "Cost of the GPUs' time of a response, in `currency`.", ON_PAGE),
    figure("cost_per_response", "Both together, in `currency`.", ON_PAGE),
    text("reason", "Why a figure is null."),
)

_TRACE = (
    *(*_NAMED, *pick(POINT, "hardware"), *_AT),
    text("device", "One of the devices whose energy is counted."),
    *pick(POINT, "energy_source"),
    figure("start_s", "Start of the stretch, from the point's start."),
    figure("end_s", "End of the stretch, from the point's start."),
    figure("power_w", "Mean power over the stretch."),
    figure("running", "Mean number of requests served at once."),
    text("window", "The part of the point that the stretch lies in whole."),
    *pick(POINT, "tdp_w"),
)

_CHECKS = (
    *(*_NAMED, *_AT, *pick(POINT, "repeat")),
    text("check", "The check that fired."),
    text("severity", "flagged or invalid."),
    text("fact", "What the check looks at."),
    figure("found", "What was found, in the fact's unit."),
    figure("limit", "The limit that it is beyond."),
    text("source", "Where the limit is from."),
)

_LEFT_OUT = (
    *pick(POINT, "task"),
    text("run", "The run's folder."),
    text("reason", "Why the run is in no table."),
)

_STUDY = (
    figure("whole_s", "The whole of a point, from the first submission to the end of the last answer."),
    figure("whole_energy_j", "Energy of the whole."),
    figure("whole_energy_per_response_j", "Energy per response of the whole."),
    figure("ramp_s", "Until the batch is full; with arrivals, until three mean latencies have passed."),
    figure("ramp_energy_j", "Energy of the ramp."),
    figure("steady_s", "From the ramp's end until nobody waits any more; with arrivals, until the last of them."),
    figure("steady_energy_j", "Energy of the steady part."),
    figure("steady_energy_per_response_j", "Energy per response of the steady part."),
    figure("drain_s", "From the steady part's end to the last answer: the batch empties."),
    figure("drain_energy_j", "Energy of the drain."),
    figure("study_energy_per_response_j", "Of the whole where there is one, else of the stationary window."),
    *interval("knee{}", "Where the curve of the model bends."),
    *interval(
        "energy_per_input_token{}_j",
        "Energy per response over its prompt's tokens, what its answer draws included: HPML's metric.",
    ),
    figure("load_s", "Start of the engine, the model's loading among it; of the run's last session."),
    figure("load_energy_j", "What the devices drew meanwhile."),
    figure("first_call_s", "The first calls after it, which warm the engine up."),
    figure("first_call_energy_j", "What the devices drew meanwhile."),
    figure("prefill_s", "Time of a batch that writes one token: the reading of its prompts."),
    *interval("prefill_energy{}_j", "Energy of a response of one token, of which its prompt is nearly all."),
    *interval("prefill_energy_per_token{}_j", "The same for one token of its prompt."),
    figure("prefill_tokens_per_s", "Prompt tokens over prefill_s."),
    figure("decode_s", "Time of a batch beyond that of one token: the writing of all further tokens."),
    *interval("decode_energy{}_j", "Energy of a response beyond that of one token."),
    *interval("decode_energy_per_token{}_j", "The same for one of the further tokens."),
    figure("decode_tokens_per_s", "Further tokens over decode_s."),
)


def _schema(columns: Iterable[Column]) -> pl.Schema:
    return pl.Schema((column.name, column.dtype()) for column in columns)


COLUMNS: dict[str, tuple[Column, ...]] = {
    "points": POINT,
    "leaderboard": _LEADERBOARD,
    "pareto": _PARETO,
    "recommendations": _RECOMMENDATIONS,
    "footprint": _FOOTPRINT,
    "trace": _TRACE,
    "checks": _CHECKS,
    "left_out": _LEFT_OUT,
}
"""results/{hardware}/{name}.csv, by name."""
TABLES = {name: _schema(columns) for name, columns in COLUMNS.items()}

POINTS = TABLES["points"]
"""points.csv: one row a point and repeat. Null where a figure does not apply or was not measured."""

LEADERBOARD = TABLES["leaderboard"]
"""leaderboard.csv: one row a task, model and kind of answers: its best point, the repeats pooled (analysis.choices).
`rank` counts within a task and kind of answers. The intervals of the latencies, and what the checks look at, are in
points.csv alone."""

PARETO = TABLES["pareto"]
"""pareto.csv: one row a point on the frontier of energy per response and latency of its task and model.
`latency_metric` is the column of POINTS that `latency_s` is. `tied_with`: see analysis.frontier."""

RECOMMENDATIONS = TABLES["recommendations"]
"""recommendations.csv: one row a task, model and service: its point of least energy that keeps the service's latency.
`latency` has what the target asks for as it was found. Where no point keeps it, the columns of the point are null and
`reason` says what was nearest. See analysis.recommendations."""

FOOTPRINT = TABLES["footprint"]
"""footprint.csv: one row a row of points.csv. `reason` says why a figure is null."""

TRACE = TABLES["trace"]
"""trace.csv: the power of one point over its time (analysis.trace), one row a device and stretch from `start_s` to
`end_s`, counted from the point's start. `running`: the mean number of requests served at once. `window`: what the
stretch lies in (ramp, queue, stationary, drain; warm-up, batches), null before the load and after it."""

CHECKS = TABLES["checks"]
"""checks.csv: one row for each point and check that fired."""

LEFT_OUT = TABLES["left_out"]
"""left_out.csv: the run folders that a table did not take, and why."""

QUALITY = _schema(
    (
        *pick(POINT, "task", "dataset", "model", "variant", "hardware", "engine", "dtype"),
        text("metric", "How right answers are told from wrong ones: pass-at-1, exact-match; or the score: clip-score."),
        text("judge", "The model that judges, where one does: scores of different ones cannot be compared."),
        count("asked", "Prompts that were asked, one greedy answer each, or one image."),
        count("cut", "Prompts that were longer than the judge reads, and were cut."),
        count("right", "Answers that are right; null where they have a score instead."),
        *interval(
            "quality{}",
            "The share of right answers (Wilson's interval); of clip-score the mean, from 0 to 100 (Student's t).",
        ),
        figure("mean_output_tokens", "Mean tokens of these answers, which the model ends itself."),
        count("ended", "Answers that ended by themselves, before they had as many tokens as they might get."),
        *pick(POINT, "setting", *(f"energy_per_output_token{bound}_j" for bound in BOUNDS)),
        *interval(
            "energy_per_right_answer{}_j", "Energy of these answers' mean tokens at that setting, over the share."
        ),
        *pick(POINT, "measured_on"),
    )
)
"""quality.csv: one row a model variant and task whose answers were judged (analysis.quality)."""

STUDY = _schema((*POINT, *_STUDY))
"""studies/{study}.csv: one row a point of a study (analysis.study), with the columns of points.csv and its own."""

CLAIMS = _schema(
    (
        text("claim", "What others said."),
        text("source", "Who said it, and where."),
        text("study", "The study that it is looked for in."),
        *pick(POINT, "model", "hardware", "engine", "dtype", "energy_source"),
        text("a", "The setting, with its variant, that the claim compares with."),
        text("b", "The setting, with its variant, that it is about."),
        figure("claimed_ratio", "Energy at b over that at a, as claimed."),
        *interval("input_token_ratio{}", "As found, of the energy per input token: HPML's metric."),
        *interval("prompt_token_ratio{}", "As found, of reading one token of the prompt."),
        *interval("decoded_token_ratio{}", "As found, of writing one further token."),
        text("verdict", "By HPML's metric: held; not held; not told apart, from no change."),
        text("reason", "Why there is no verdict, or no ratio; what flagged a point."),
    )
)
"""studies/hpml-claims.csv: one row a claim and model variant (analysis.claims)."""
