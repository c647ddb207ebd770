"""The folder of the dataset: what is in it, what is left out, and a card that others' tools read."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from building import PROJECT, point_row
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from joulebench.errors import UserError
from joulebench.exports import card, dataset
from joulebench.tables.files import write_csv
from joulebench.tables.schemas import TABLES

DOCS = PROJECT / "docs"
HOSTILE = "me/<script>alert(1)</script>|[x](javascript:x)*_`~$&amp;\n# www.x.org @you"

VALID, FLAGGED, INVALID, NO_MEMORY = (
    {"verdict": "valid"},
    {"verdict": "flagged: wide interval: 46 %, limit 10 %"},
    {"verdict": "invalid: other processes: 2, limit 1"},
    {"verdict": "invalid: out_of_memory: too large", "status": "out_of_memory", "responses_per_s": None},
)


def point(batch: int, **changes: object) -> dict[str, object]:
    known = {
        "model": "owner/name",
        "device": "NVIDIA H100 80GB HBM3",
        "engine": "vllm",
        "parameters": 8_030_261_248,
        "tdp_w": 700.0,
        "max_batch_size": batch,
        "energy_per_response_j": 100.0 / batch,
        "responses_per_s": 2.0,
        "measured_on": "2025-11-02",
    }
    return point_row(**known | changes)


def csvs(folder: Path, **rows: list[dict[str, object]]) -> dict[str, Path]:
    """All tables of one hardware, empty where `rows` has none of it; footprint has a row a point."""
    keys = ("task", "model", "variant", "max_batch_size", "repeat")
    rows.setdefault("footprint", [{key: one.get(key) for key in keys} for one in rows["points"]])
    for name in dataset.TABLES:
        schema = TABLES[name]
        whole = [{column: one.get(column) for column in schema} for one in rows.get(name, [])]
        write_csv(pl.DataFrame(whole, schema=schema, orient="row"), schema, folder / f"{name}.csv")
    return {name: folder / f"{name}.csv" for name in dataset.TABLES}


def made(tmp_path: Path, points: list[dict[str, object]], publish_flagged: bool = False, **rows: Any) -> Path:
    files = csvs(tmp_path / "h100", points=points, **rows)
    dataset.write(tmp_path / "dataset", {"h100": files}, DOCS, publish_flagged)
    return tmp_path / "dataset"


def read(folder: Path, table: str, hardware: str = "h100") -> pl.DataFrame:
    return pl.read_parquet(folder / "data" / hardware / f"{table}.parquet")


EVERY = [point(1, **VALID), point(2, **FLAGGED), point(4, **INVALID), point(8, **NO_MEMORY)]


@pytest.mark.parametrize(("publish_flagged", "batches"), [(False, [1, 8]), (True, [1, 2, 8])])
def test_doubtful_points_are_left_out_of_every_table(publish_flagged: bool, batches: list[int], tmp_path: Path) -> None:
    fired = [{"task": "llm-chat", "model": "owner/name", "max_batch_size": 4, "check": "other processes"}]
    folder = made(tmp_path, EVERY, publish_flagged, pareto=EVERY[:3], checks=fired)
    assert read(folder, "points")["max_batch_size"].to_list() == batches
    assert read(folder, "footprint")["max_batch_size"].to_list() == batches
    assert read(folder, "pareto")["max_batch_size"].to_list() == batches[:-1]
    assert read(folder, "checks")["check"].to_list() == ["other processes"]
    text = (folder / "README.md").read_text()
    assert ("Points of h100 that are not published: 1 invalid." in text) is publish_flagged
    assert ("Points of h100 that are not published: 1 flagged, 1 invalid." in text) is not publish_flagged
    assert ("**Flagged points among them: 1.**" in text) is publish_flagged


def test_every_table_names_its_hardware(tmp_path: Path) -> None:
    files = {name: csvs(tmp_path / name, points=[point(1, hardware=name, **VALID)]) for name in ("h100", "a-100")}
    dataset.write(tmp_path / "dataset", files, DOCS, publish_flagged=False)
    for table in ("points", "footprint"):
        assert read(tmp_path / "dataset", table, "a-100")["hardware"].to_list() == ["a-100"]


def test_what_was_there_before_is_gone(tmp_path: Path) -> None:
    stale = tmp_path / "dataset" / "data" / "old" / "points.parquet"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    made(tmp_path, [point(1, **VALID)])
    assert not stale.exists()


def test_the_same_tables_give_the_same_files(tmp_path: Path) -> None:
    folder = made(tmp_path, EVERY)
    assert {path.name for path in folder.glob("data/h100/*")} == {"points.parquet", "footprint.parquet"}
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    made(tmp_path, EVERY)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert len(before) == 2 + len(dataset.DOCUMENTS) + 1


@pytest.mark.parametrize(("points", "kept_back"), [([], 0), (None, 0), ([point(2, **FLAGGED), point(4, **INVALID)], 2)])
def test_nothing_to_publish_is_one_line(points: list[dict[str, object]] | None, kept_back: int, tmp_path: Path) -> None:
    files = {} if points is None else {"h100": csvs(tmp_path / "h100", points=points)}
    with pytest.raises(UserError, match=f"no point to publish, and {kept_back} that may not be") as error:
        dataset.write(tmp_path / "dataset", files, DOCS, publish_flagged=False)
    assert "\n" not in str(error.value)


def test_the_card_is_read_back_by_the_hub_s_own_parser(tmp_path: Path) -> None:
    data = DatasetCard.load(made(tmp_path, EVERY, leaderboard=EVERY[:1]) / "README.md").data
    assert data.license == "apache-2.0"
    assert data.size_categories == "n<1K"
    assert data.pretty_name.startswith("Joulebench")
    assert "energy" in data.tags
    configs = data.to_dict()["configs"]
    assert [config["config_name"] for config in configs] == ["leaderboard", "points", "footprint"]
    assert [config.get("default", False) for config in configs] == [True, False, False]
    assert configs[1]["data_files"] == [{"split": "train", "path": ["data/h100/points.parquet"]}]


def test_datasets_loads_every_configuration_of_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fired = [{"task": "llm-chat", "model": "owner/name", "max_batch_size": 4, "check": "other processes"}]
    files = {
        name: csvs(
            tmp_path / name,
            points=[point(batch, hardware=name, **VALID) for batch in (1, 2)],
            leaderboard=[point(2, hardware=name, rank=1, **VALID)],
            checks=fired if name == "b" else [],
        )
        for name in "ab"
    }
    folder, rows = str(tmp_path / "dataset"), {"leaderboard": 2, "points": 4, "footprint": 4, "checks": 1}
    dataset.write(tmp_path / "dataset", files, DOCS, publish_flagged=False)
    assert sorted(datasets.get_dataset_config_names(folder)) == sorted(rows)
    for table, count in rows.items():
        loaded = datasets.load_dataset(folder, table, split="train", cache_dir=str(tmp_path / "cache"))
        assert loaded.num_rows == count
        assert loaded.column_names[0] == "hardware" or "hardware" in TABLES[table]
        assert set(loaded["hardware"]) == ({"b"} if table == "checks" else {"a", "b"})
    assert datasets.load_dataset(folder, split="train", cache_dir=str(tmp_path / "cache")).num_rows == 2


def test_the_card_says_what_nobody_may_overlook(tmp_path: Path) -> None:
    points = [
        point(1, weights="synthetic", **VALID),
        point(1, model="other/one", energy_source="codecarbon_estimate", **VALID),
        point(1, model="no/energy", energy_source=None, energy_per_response_j=None, **VALID),
    ]
    text = (made(tmp_path, points) / "README.md").read_text()
    assert "**Synthetic weights** for 1 of 3 models" in text
    assert "**Some energy is an estimate**" in text
    assert "NVIDIA H100 80GB HBM3" in text
    assert "2025-11-02" in text
    assert "8,030,261,248" in text
    assert "year    = {2025}" in text
    assert "**Synthetic weights**" not in (made(tmp_path, [point(1, **VALID)]) / "README.md").read_text()


def test_links_of_the_card_lead_to_files_beside_it(tmp_path: Path) -> None:
    folder = made(tmp_path, EVERY)
    links = [
        str(child.attrs["href"])
        for token in MarkdownIt().parse(DatasetCard.load(folder / "README.md").text)
        for child in token.children or []
        if child.type == "link_open"
    ]
    assert len(links) == len(dataset.DOCUMENTS)
    assert all((folder / link).is_file() for link in links)


def test_a_hostile_name_shows_as_text(tmp_path: Path) -> None:
    folder = made(tmp_path, [point(1, model=HOSTILE, device=HOSTILE, **VALID)])
    body = DatasetCard.load(folder / "README.md").text
    parser = MarkdownIt("gfm-like", {"linkify": False})
    cells = [token for token in parser.parse(body) if token.type == "inline" and "alert" in token.content]
    assert len(cells) == 2
    for cell in cells:
        kinds = {child.type for child in cell.children or []}
        assert kinds <= {"text", "text_special"}
        shown = "".join(child.content for child in cell.children or [])
        assert shown == " ".join(HOSTILE.split())
    assert "<script" not in body


def test_control_signs_are_not_handed_on() -> None:
    assert card.escaped("a\x1b[31m\u202eb\nc") == r"a \[31m b c"
