"""The columns of a point, in the order of points.csv: the one place that says what each is."""

from joulebench.tables.columns import ON_PAGE, count, figure, interval, quantiles, text

_WHO_AND_WHAT = (
    text(
        "task",
        "What is asked of the model: llm-chat, llm-code, vlm-chat, text-to-image, text-to-video or image-to-video.",
        ON_PAGE,
    ),
    text("dataset", "Where the prompts are from.", ON_PAGE),
    text("model", "The model's id on the hub.", ON_PAGE),
    text(
        "variant", "How it is served, where that is not the plain way (precision, quantisation, parallelism).", ON_PAGE
    ),
    text(
        "answers",
        "What ends an answer: natural, the model itself; reference, the length of the dataset's own; fixed, one length "
        "for all. Null for images and videos.",
        ON_PAGE,
    ),
    count("parameters", "Number of parameters.", ON_PAGE),
    text(
        "weights",
        "checkpoint: as published. synthetic: drawn at random for the published shape: the same arithmetic.",
        ON_PAGE,
    ),
    text("hardware", "The hardware's key in the config.", ON_PAGE),
    text("device", "The device's name, as it reports itself.", ON_PAGE),
    text("card", "The GPUs that measured, by the first eight digits of their UUIDs; null on a CPU.", ON_PAGE),
    text("engine", "What served the model.", ON_PAGE),
    text("dtype", "The type of the weights and of the arithmetic.", ON_PAGE),
    text("quantization", "How the weights are stored, where that is not as dtype says."),
    text("attention", "Which attention kernels were asked for; null: the engine's own choice."),
    count("gpus", "How many GPUs the energy is the sum of; null where there is none.", ON_PAGE),
    figure("tdp_w", "The thermal design power of one device.", ON_PAGE),
)

_LOAD = (
    text(
        "load", "Who is submitted when: closed-loop, at-once, poisson, gamma; batches: of images and videos.", ON_PAGE
    ),
    text("axis", "What varies in the point's sweep: a column of this table.", ON_PAGE),
    count("max_batch_size", "B: so many requests are kept in flight, or make up a batch.", ON_PAGE),
    text(
        "setting",
        "The point's load in short: b maximum batch size, n requests, r rate per s, g burstiness, i input and o "
        "output tokens.",
        ON_PAGE,
    ),
    count("requests", "How many requests the point serves, where its load counts them."),
    figure("rate_per_s", "Requests that come per second, on average."),
    figure("burstiness", "Shape of the gaps between arrivals: 1 is a Poisson process, less is bursts."),
    count("input_tokens", "Tokens that each prompt was made to have; null: the dataset's own prompts."),
    count("output_tokens", "Tokens that each answer was made to have; null: as the config's output_length says."),
)
SETTING = tuple(column.name for column in _LOAD)
MEMORY = ("allocated_memory_mb", "reserved_memory_mb", "process_memory_mb", "ram_mb")
PER_KWH = ("output_tokens", "responses")
AT = ("max_batch_size", "setting")
"""Which point of its run a row is of."""

_OUTCOME = (
    count("repeat", "Which of the run's repeats it is, from 1."),
    figure("mean_batch_size", "Mean number of requests that ran at once, over the window.", ON_PAGE),
    text("status", "measured; overloaded: memory limited the batch, not B; out_of_memory; failed.", ON_PAGE),
    text("reason", "Why there are no figures, or not all of them.", ON_PAGE),
    text("ended_by", "What ended the point under the adaptive protocol: precision, max_seconds or max_requests."),
    text(
        "start",
        "cold: with whole requests, and a turnover of them before the window. equilibrium: with such as a long run "
        "is found with. Null for images and videos.",
    ),
    text(
        "verdict",
        "valid; flagged or invalid, with what fired, was found, and the limit; no energy: nothing measures it.",
        ON_PAGE,
    ),
    text("unchecked", "Checks that could not be made, what they look at not being recorded."),
)

_ENERGY = (
    text(
        "energy_source",
        "codecarbon_estimate: not measured. Every other: measured. Null: no source.",
        ON_PAGE,
    ),
    text(
        "estimate",
        "adjusted: at the sample's own mix of prompt and output tokens. plain: the window's energy over what it "
        "served.",
        ON_PAGE,
    ),
    *interval(
        "energy_per_response{}_j",
        "Energy per response: energy per output token times response_output_tokens; per image or video.",
        ON_PAGE,
    ),
    *interval(
        "energy_per_output_token{}_j", "Energy per output token, of the estimate that `estimate` names.", ON_PAGE
    ),
    *interval(
        "plain_energy_per_response{}_j",
        "Plain energy per output token times response_output_tokens; per image or video.",
    ),
    *interval("plain_energy_per_output_token{}_j", "The window's energy over its output tokens."),
    *interval("energy_per_total_token{}_j", "Energy over the window's prompt and output tokens."),
    *interval("energy_per_prompt_token{}_j", "Energy of one prompt token, by regression over the window's seconds."),
    *interval(
        "energy_per_decoded_token{}_j", "Energy of one output token without its prompt's part, by the same regression."
    ),
    figure("queue_energy_per_response_j", "As plain_energy_per_response_j, over the queue window that others publish."),
    figure(
        "queue_energy_per_output_token_j",
        "As plain_energy_per_output_token_j, over the queue window that others publish.",
    ),
    figure("net_energy_per_response_j", "Energy per response above the loaded idle power.", ON_PAGE),
    figure("net_energy_per_output_token_j", "Energy per output token above the loaded idle power."),
    figure(
        "idle_power_w", "What the same devices drew with nothing on them, by the probe; null where others were probed."
    ),
    figure(
        "loaded_idle_power_w", "What they drew with the model loaded and nothing running, in the run itself.", ON_PAGE
    ),
    figure(
        "host_energy_per_response_j",
        "What the host's processors and memory drew a response, beside the GPUs; in no other figure.",
    ),
    text("host_energy_source", "As energy_source, of host_energy_per_response_j."),
    *interval("power{}_w", "Mean power over the window, all devices together.", ON_PAGE),
    figure(
        "integrated_power_ratio", "Energy by the counter over the integrated power readings: near 1 where they agree."
    ),
    *interval("output_tokens{}_per_kwh", "Output tokens for a kWh: 3.6e6 J over the energy per output token."),
    *interval("responses{}_per_kwh", "Responses for a kWh: answers, images or videos."),
    figure(
        "tdp_estimate_j",
        "Energy per response had the devices drawn their TDP throughout: an estimate, to compare with.",
        ON_PAGE,
    ),
)

_SPEED = (
    *interval("output_tokens{}_per_s", "Output tokens over the window's length.", ON_PAGE),
    *interval(
        "responses{}_per_s",
        "Output tokens per s over response_output_tokens; images or videos over the window's length.",
        ON_PAGE,
    ),
    figure(
        "response_prompt_tokens",
        "Prompt tokens of a response, an image's included: a mean as response_output_tokens.",
        ON_PAGE,
    ),
    figure(
        "response_output_tokens",
        "Output tokens of a response: the mean over the whole sample; over the finished answers where the model ends "
        "its own and no point of the run answered the whole sample.",
        ON_PAGE,
    ),
    figure(
        "mean_prompt_tokens", "Mean length of the prompts that this point served, an image's tokens included.", ON_PAGE
    ),
    figure("mean_output_tokens", "Mean length of the answers that this point served.", ON_PAGE),
    figure(
        "limited_share",
        "Share of the finished answers that output_length's limit ended, where the model may end them itself.",
        ON_PAGE,
    ),
)

LATENCIES = {
    "ttft": "Time from a request's admission to its first output",
    "submission_ttft": "Time from a request's submission to its first output, its wait in the queue included",
    "tpot": "Time per output token after the first, by request",
    "itl": "Inter-token latency: the iterations' durations, weighted by the tokens that they gave; of a server, the "
    "times between an answer's tokens",
    "latency": "Time from a request's submission to its end; of a batch, where images and videos are made in batches",
}
LATENCY = tuple(column for metric, meaning in LATENCIES.items() for column in quantiles(metric, meaning))

_WINDOW = (
    figure(
        "ttft_share",
        "Share of the window's first tokens whose TTFT is recorded. Below 1 they are those of finished requests "
        "alone, and the high quantiles of TTFT come out too low.",
    ),
    text("window", "The stretch that counts: stationary (after a full turnover of requests), queue, or batches."),
    figure("window_s", "Length of the window.", ON_PAGE),
    count("window_responses", "Responses that ended in the window.", ON_PAGE),
    figure("peak_memory_mb", "The most device memory that was in use.", ON_PAGE),
    figure(
        "allocated_memory_mb", "The most GPU memory that torch had allocated, where it runs in the measuring process."
    ),
    figure("reserved_memory_mb", "The most GPU memory that torch had reserved, with what it keeps for later."),
    figure("process_memory_mb", "GPU memory that the measured processes held when the point ended."),
    figure(
        "ram_mb", "The most of the machine's memory that the measured processes used, each one's own most added up."
    ),
)

CONDITIONS = (
    figure(
        "throttled_share", "Share of the polls at which the device was slowed down for heat or by its own protection."
    ),
    figure("power_capped_share", "Share of the polls at the power limit."),
    count(
        "processes", "The most processes seen on one device at once, the engine's among them (a server's own are one)."
    ),
    figure("temperature_start_c", "Mean temperature over the first tenth of the window."),
    figure("temperature_end_c", "Mean temperature over the last tenth of the window."),
    figure("clock_mean_mhz", "Mean clock over the window."),
    figure("clock_min_mhz", "Lowest clock in the window."),
    figure(
        "others_share",
        "Share of the processors' time that others than the measured processes used, all cores together.",
    ),
    figure("stolen_share", "Share of the processors' time that the hypervisor took."),
    figure("poll_gap_s", "Longest time between two readings of one device."),
    figure("update_gap_s", "Longest time in which the counter of a device did not move."),
    count("counter_updates", "How often the energy counter moved in the window."),
    figure(
        "turnovers", "How often as many responses ended in the window as fill the batch; null for images and videos."
    ),
    count("preemptions", "Requests thrown out of memory in the window, their tokens computed again."),
    count("requests_failed", "Requests that failed."),
    figure(
        "client_busy_share",
        "Share of the point in which the client of a server was not waiting for it: near 1 the server waited; null "
        "without one.",
    ),
    figure(
        "outside_engine_share",
        "Share of the requests in flight that a server's engine neither ran nor had waiting, by its metrics once a "
        "second: on their way, or their answers not sent yet; null without metrics.",
    ),
    count("answers_cut", "Answers that ended before the length that they were made to have."),
    figure(
        "nvidia_smi_energy_j",
        "Energy over the window by the nvidia-smi log beside the run; null without one. The meter's is power_w times "
        "window_s.",
    ),
    figure("clock_step_s", "How far the time of day was set back during the run."),
    figure("drift_z", "Geweke's statistic of the energy per output, the window's first part against its last half."),
)
"""What the checks look at."""

POINT = (
    *(*_WHO_AND_WHAT, *_LOAD, *_OUTCOME, *_ENERGY, *_SPEED, *LATENCY, *_WINDOW, *CONDITIONS),
    text("measured_on", "The day, UTC.", ON_PAGE),
)
