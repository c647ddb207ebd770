"""The README's board is made from the published table."""

import polars as pl
from building import PROJECT

from joulebench.exports import board
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import LEADERBOARD


def test_the_readme_is_in_step() -> None:
    leaderboard = read_csv(PROJECT / "results/h100/leaderboard.csv", LEADERBOARD)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    made = board.markdown(leaderboard, first=3)
    assert made.count("\n") > 8
    assert made in readme, "run make pages"
    chat = [line for line in made.splitlines() if line.startswith("| llm-chat |")]
    assert [" natural " in line for line in chat] == [False] * 3 + [True]  # each kind of answers has its first rows


def test_a_row_by_hand() -> None:
    rows = [
        {
            **{
                "task": "text-to-image",
                "model": "a/b",
                "variant": "fp8",
                "rank": 1,
                "axis": "max_batch_size",
                "max_batch_size": 4,
            },
            **{"energy_per_response_j": 6923.4, "energy_per_response_low_j": 6892.1},
            **{"energy_per_response_high_j": 6954.7, "latency_p50_s": 0.456, "power_w": 1640.4},
        },
        {
            **{
                "task": "llm-chat",
                "model": "c/d",
                "rank": 2,
                "axis": "max_batch_size",
                "max_batch_size": 64,
                "status": "overloaded",
                "mean_batch_size": 41.6,
                "power_w": 99.6,
            },
            **{"energy_per_response_j": 5.2034, "energy_per_response_low_j": 5.1997},
            **{"energy_per_response_high_j": 5.2071, "net_energy_per_response_j": 4.0, "tpot_p50_s": 0.0316},
        },
        {
            "task": "llm-chat",
            "model": "e/f",
            "rank": 1,
            "axis": "max_batch_size",
            "max_batch_size": 8,
            "energy_per_response_j": 0.05671,
        },
        {
            **{"task": "llm-chat", "model": "e/f", "weights": "checkpoint", "answers": "natural", "rank": 1},
            **{"axis": "max_batch_size", "max_batch_size": 8, "energy_per_response_j": 2.0},
        },
        {"task": "llm-chat", "model": "not/ranked", "max_batch_size": 8},
    ]
    schema = LEADERBOARD
    frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
    frame = frame.with_columns(pl.col("power_w").fill_null(1.0))
    assert board.markdown(frame).splitlines()[2:] == [
        "| llm-chat | e/f | 0.0567 | not known | not known | 8 | not known | 1 |",
        "| llm-chat | c/d | 5.20 | 5.200 to 5.207 | 4.00 | 64 (42 ran) | 32 ms a token | 100 |",
        "| llm-chat | e/f (its own weights, answers of natural length) "
        "| 2.00 | not known | not known | 8 | not known | 1 |",
        "| text-to-image | a/b+fp8 | 6,920 | 6,892 to 6,955 | not known | 4 | 0.456 s a batch | 1,640 |",
    ]
