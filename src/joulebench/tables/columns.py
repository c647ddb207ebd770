"""What each column of the tables (joulebench.tables) means, and its unit: for whoever reads them without the code."""

import re
from dataclasses import dataclass

from joulebench.tables.schemas import TABLES


@dataclass(frozen=True)
class Column:
    """A column of a table, for people."""

    unit: str | None
    meaning: str


def of_table(table: str) -> dict[str, Column]:
    """Each column of a table of tables.TABLES, in its order. Raises KeyError for a column that nobody described."""
    return {name: Column(unit(name), _meaning(table, name)) for name in TABLES[table]}


def is_bound(name: str) -> bool:
    """Whether the column is an end of another one's interval: x_low_j or x_high_j of x_j."""
    return _BOUND.search(name) is not None


def unit(name: str) -> str | None:
    """The unit that the column's name ends with, None for a text, a count or a ratio."""
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), None)


def _meaning(table: str, name: str) -> str:
    if bound := _BOUND.search(name):
        figure = name[: bound.start()] + name[bound.end() :]
        return f"{'Lower' if bound[1] == 'low' else 'Upper'} end of the 95 % interval of {figure}."
    if quantile := _QUANTILE.fullmatch(name):
        metric, q, _ = quantile.groups()
        return f"{_METRICS[metric]}: {'median' if q == '50' else f'{q}th percentile'} over the window."
    return _OF_ONE_TABLE.get((table, name)) or _MEANINGS[name]


_BOUND = re.compile(r"_(low|high)(?=_)")
_QUANTILE = re.compile(r"([a-z_]+)_p(\d+)(_s)")

_UNITS = {
    "_g_per_kwh": "gCO2e/kWh",
    "_tokens_per_s": "tokens/s",
    "_tokens_low_per_s": "tokens/s",
    "_tokens_high_per_s": "tokens/s",
    "_per_s": "responses/s",
    "_percent": "%",
    "_mhz": "MHz",
    "_mb": "MB (10^6 bytes)",
    "_j": "J",
    "_w": "W",
    "_s": "s",
    "_c": "°C",
    "_g": "gCO2e",
}
"""By the end of a column's name: the first that fits."""

_METRICS = {
    "ttft": "Time from a request's admission to its first output",
    "submission_ttft": "Time from a request's submission to its first output, its wait in the queue included",
    "tpot": "Time per output token after the first, by request",
    "itl": "Inter-token latency: the iterations' durations, weighted by the tokens that they gave",
    "latency": "Time from a request's submission to its end; of a batch, where images and videos are made in batches",
}

_MEANINGS = {
    "task": "What is asked of the model: llm-chat, llm-code, vlm-chat, text-to-image, text-to-video or image-to-video.",
    "model": "The model's id on the hub.",
    "variant": "How it is served, where that is not the plain way (precision, quantisation, parallelism).",
    "parameters": "Number of parameters.",
    "weights": "checkpoint: as published. synthetic: drawn at random for the published shape: the same arithmetic.",
    "hardware": "The hardware's key in the config.",
    "device": "The device's name, as it reports itself.",
    "card": "The GPUs that measured, by the first eight digits of their UUIDs; null on a CPU.",
    "engine": "What served the model.",
    "dtype": "The type of the weights and of the arithmetic.",
    "gpus": "How many GPUs the energy is the sum of; null where there is none.",
    "tdp_w": "The thermal design power of one device.",
    "dataset": "Where the prompts are from.",
    "quantization": "How the weights are stored, where that is not as dtype says.",
    "attention": "Which attention kernels were asked for; null: the engine's own choice.",
    "load": "Who is submitted when: closed-loop, at-once, poisson, gamma; batches: of images and videos.",
    "axis": "What varies in the point's sweep: a column of this table.",
    "setting": "The point's load in short: b maximum batch size, n requests, r rate per s, g burstiness, i input and o "
    "output tokens.",
    "requests": "How many requests the point serves, where its load counts them.",
    "rate_per_s": "Requests that come per second, on average.",
    "burstiness": "Shape of the gaps between arrivals: 1 is a Poisson process, less is bursts.",
    "input_tokens": "Tokens that each prompt was made to have; null: the dataset's own prompts.",
    "output_tokens": "Tokens that each answer was made to have; null: as the config's output_length says.",
    "max_batch_size": "B: so many requests are kept in flight, or make up a batch.",
    "mean_batch_size": "Mean number of requests that ran at once, over the window.",
    "repeat": "Which of the run's repeats it is, from 1.",
    "repeats": "How many repeats the figures are means of.",
    "status": "measured; overloaded: memory limited the batch, not B; out_of_memory; failed.",
    "reason": "Why there are no figures, or not all of them.",
    "ended_by": "What ended the point under the adaptive protocol: precision, max_seconds or max_requests.",
    "start": "cold: with whole requests, and a turnover of them before the window. equilibrium: with such as a long "
    "run is found with. Null for images and videos.",
    "verdict": "valid; flagged or invalid, with what fired, was found, and the limit; no energy: nothing measures it.",
    "unchecked": "Checks that could not be made, what they look at not being recorded.",
    "energy_source": "nvml_counter, nvml_power, rapl: measured. codecarbon_estimate: not measured. Null: no source.",
    "estimate": "adjusted: at the sample's own mix of prompt and output tokens. plain: the window's energy over what "
    "it served.",
    "energy_per_response_j": "Energy per response: energy per output token times response_output_tokens; per image or "
    "video.",
    "energy_per_output_token_j": "Energy per output token, of the estimate that `estimate` names.",
    "plain_energy_per_response_j": "Plain energy per output token times response_output_tokens; per image or video.",
    "plain_energy_per_output_token_j": "The window's energy over its output tokens.",
    "energy_per_total_token_j": "Energy over the window's prompt and output tokens.",
    "energy_per_prompt_token_j": "Energy of one prompt token, by regression over the window's seconds.",
    "energy_per_decoded_token_j": "Energy of one output token without its prompt's part, by the same regression.",
    "queue_energy_per_response_j": "As plain_energy_per_response_j, over the queue window that others publish.",
    "queue_energy_per_output_token_j": "As plain_energy_per_output_token_j, over the queue window that others publish.",
    "net_energy_per_response_j": "Energy per response above the loaded idle power.",
    "net_energy_per_output_token_j": "Energy per output token above the loaded idle power.",
    "idle_power_w": "What the same devices drew with nothing on them, by the probe; null where others were probed.",
    "loaded_idle_power_w": "What they drew with the model loaded and nothing running, in the run itself.",
    "host_energy_per_response_j": "What the host's processors and memory drew a response, beside the GPUs; in no other "
    "figure.",
    "host_energy_source": "As energy_source, of host_energy_per_response_j.",
    "power_w": "Mean power over the window, all devices together.",
    "integrated_power_ratio": "Energy by the counter over the integrated power readings: near 1 where they agree.",
    "tdp_estimate_j": "Energy per response had the devices drawn their TDP throughout: an estimate, to compare with.",
    "output_tokens_per_s": "Output tokens over the window's length.",
    "responses_per_s": "Output tokens per s over response_output_tokens; images or videos over the window's length.",
    "response_prompt_tokens": "Prompt tokens of a response, an image's included: a mean as response_output_tokens.",
    "response_output_tokens": "Output tokens of a response: the mean over the whole sample where lengths are given, "
    "else over the finished answers.",
    "mean_prompt_tokens": "Mean length of the prompts that this point served, an image's tokens included.",
    "mean_output_tokens": "Mean length of the answers that this point served.",
    "ttft_share": "Share of the window's first tokens whose TTFT is recorded. Below 1 they are those of finished "
    "requests alone, and the high quantiles of TTFT come out too low.",
    "window": "The stretch that counts: stationary (after a full turnover of requests), queue, or batches.",
    "window_s": "Length of the window.",
    "window_responses": "Responses that ended in the window.",
    "peak_memory_mb": "The most device memory that was in use.",
    "throttled_share": "Share of the polls at which the device was slowed down for heat or by its own protection.",
    "power_capped_share": "Share of the polls at the power limit.",
    "processes": "The most processes seen on one device at once, the engine's among them.",
    "temperature_start_c": "Mean temperature over the first tenth of the window.",
    "temperature_end_c": "Mean temperature over the last tenth of the window.",
    "clock_mean_mhz": "Mean clock over the window.",
    "clock_min_mhz": "Lowest clock in the window.",
    "others_share": "Share of the processors' time that others than the measured processes used, all cores together.",
    "stolen_share": "Share of the processors' time that the hypervisor took.",
    "poll_gap_s": "Longest time between two readings of one device.",
    "update_gap_s": "Longest time in which the counter of a device did not move.",
    "counter_updates": "How often the energy counter moved in the window.",
    "turnovers": "How often as many responses ended in the window as fill the batch; null for images and videos.",
    "preemptions": "Requests thrown out of memory in the window, their tokens computed again.",
    "requests_failed": "Requests that failed.",
    "answers_cut": "Answers that ended before the length that they were made to have.",
    "clock_step_s": "How far the time of day was set back during the run.",
    "drift_z": "Geweke's statistic of the energy per output, the window's first part against its last half.",
    "measured_on": "The day, UTC.",
    "rank": "Place within the task by energy per response; null without an energy, or beyond the latency target.",
    "meets_latency_target": "Whether the point keeps the task's latency target.",
    "latency_target": "The latency target.",
    "between_run_sd_j": "Standard deviation of the energy per response over the repeats.",
    "within_run_sd_j": "Standard error of the energy per response within a run, as its intervals say.",
    "latency_metric": "The column of points that latency_s is.",
    "latency_s": "The latency that the frontier trades energy against.",
    "tied_with": "Points that are not told apart from this one, their intervals overlapping.",
    "undecided": "Points that may keep the latency or not: their intervals hold what is allowed.",
    "service": "The service whose latency is to be kept.",
    "latency": "What the latency target asks for, as it was found.",
    "saves_against_least_latency_percent": "Energy per response saved against the point of least median latency.",
    "least_latency_batch_size": "B of the point whose median latency is least.",
    "least_latency_variant": "That point's variant.",
    "least_latency_tied_with": "Points whose median latency is not told apart from that point's.",
    "saves_against_largest_batch_percent": "Energy per response saved against the largest batch.",
    "largest_batch_size": "That point's B.",
    "largest_variant": "That point's variant.",
    "pue": "Power usage effectiveness that the energy is multiplied with: the building's energy over its machines'.",
    "energy_with_pue_per_response_j": "Energy per response times the PUE.",
    "carbon_g_per_kwh": "Carbon intensity of the electricity.",
    "carbon_source": "Where the carbon intensity is from.",
    "carbon_per_response_g": "Carbon per response: of the electricity used, not of making the hardware.",
    "currency": "Of the costs.",
    "electricity_cost_per_response": "Cost of the electricity of a response, in `currency`.",
    "gpu_cost_per_response": "Cost of the GPUs' time of a response, in `currency`.",
    "cost_per_response": "Both together, in `currency`.",
    "check": "The check that fired.",
    "severity": "flagged or invalid.",
    "fact": "What the check looks at.",
    "found": "What was found, in the fact's unit.",
    "limit": "The limit that it is beyond.",
    "source": "Where the limit is from.",
    "run": "The run's folder.",
    "start_s": "Start of the stretch, from the point's start.",
    "end_s": "End of the stretch, from the point's start.",
    "running": "Mean number of requests served at once.",
}

_OF_ONE_TABLE = {
    ("left_out", "reason"): "Why the run is in no table.",
    ("recommendations", "reason"): "Where no point keeps the latency: what was nearest.",
    ("footprint", "reason"): "Why a figure is null.",
    ("trace", "device"): "One of the devices whose energy is counted.",
    ("trace", "power_w"): "Mean power over the stretch.",
    ("trace", "window"): "The part of the point that the stretch lies in whole.",
}
