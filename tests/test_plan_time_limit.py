"""The time limit that a run asks a cluster for, against sums by hand."""

import pytest
from building import PROJECT, tiny_config

from joulebench.config.whole import load
from joulebench.plan import Plan
from joulebench.plan.time_limit import runtime_min


@pytest.mark.parametrize(
    ("task", "sweep", "minutes"),
    [
        # 1.5 (600 s + 8 points x (20 s + 60 s)) = 1860 s
        ("llm-chat", {"batch_sizes": [1, 2, 3, 4, 5, 6, 7, 8], "protocol": {"kind": "timed", "seconds": 20}}, 31),
        # 1.5 (600 s + 2 x (120 s + 60 s)) = 1440 s
        ("llm-chat", {"batch_sizes": [1, 2], "protocol": {"kind": "adaptive", "max_seconds": 120}}, 24),
        # 1.5 (600 s + 1 x (500 x 2 s + 60 s)) = 2490 s = 41.5 min
        ("llm-chat", {"batch_sizes": [8], "protocol": {"kind": "fixed", "requests": 500}}, 42),
        # 1.5 (600 s + 4 x (20 s + 300 s)) = 2820 s
        ("text-to-image", {"batch_sizes": [1, 2, 4, 8], "protocol": {"kind": "timed", "seconds": 20}}, 47),
    ],
)
def test_minutes_cover_the_start_and_every_point(task: str, sweep: dict[str, object], minutes: int) -> None:
    plan = Plan(tiny_config())
    cell = next(cell for cell in plan.cells("cpu") if cell.task == task)
    spec = plan.spec(cell)
    assert runtime_min(type(spec).model_validate(spec.model_dump() | {"sweep": sweep})) == minutes


def test_what_slurm_is_asked_for_is_no_part_of_what_a_record_stands_for() -> None:
    config = load(PROJECT / "config.yaml")
    h100 = config.hardware["h100"]
    other = h100.model_copy(update={"slurm": h100.slurm.model_copy(update={"gpu_model": "nvidia_h100_80gb"})})
    changed = Plan(config.model_copy(update={"hardware": config.hardware | {"h100": other}}))
    plan = Plan(config)
    for cell in plan.cells("h100"):
        assert plan.spec(cell).hash == changed.spec(cell).hash


def test_everything_that_needs_a_network_is_prepared_before() -> None:
    plan = Plan(tiny_config())
    assert sorted(plan.prepared()) == [
        *(f"results/models/joulebench--{name}/model.json" for name in ("animatediff-6m", "llama-1m", "llava-5m")),
        *(f"results/models/joulebench--{name}/model.json" for name in ("sd-5m", "svd-7m")),
        *(
            f"results/prompts/{task}.parquet"
            for task in ("image-to-video", "llm-chat", "llm-code", "text-to-image", "text-to-video", "vlm-chat")
        ),
    ]
