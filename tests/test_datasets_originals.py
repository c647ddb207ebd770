"""Prompts of a fresh clone: what does not lie under data/ is fetched from where the config says it is from."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from building import PROJECT, painted, plain
from fake_hub import Hub, serving
from file_host import Host, serving_files

from joulebench import config, datasets
from joulebench.config.tasks import Dataset, HubFile, HubFolder, LocalFile, Sample, UrlFile, UrlFolder
from joulebench.datasets import media
from joulebench.datasets.sampling import Sampled
from joulebench.downloads import urls
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError

FIRST, SECOND = "1" * 40, "2" * 40
TABLE = b"Prompt\tCategory\na cat\tAnimals\na dog\tAnimals\n"
SHA256 = hashlib.sha256(TABLE).hexdigest()
PARTI = Dataset(name="partiprompts", source=LocalFile(kind="local", path="data/partiprompts"))
LLAVA = Dataset(
    name="llava",
    source=LocalFile(kind="local", path="data/llava"),
    media=LocalFile(kind="local", path="data/coco/train2017"),
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(urls, "PAUSE_S", 0.0)
    return tmp_path


@pytest.fixture
def host() -> Iterator[Host]:
    with serving_files() as made:
        yield made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    own = tmp_path / "hub" / "some" / "prompts"
    own.mkdir(parents=True)
    (own / "PartiPrompts.tsv").write_bytes(TABLE)
    with serving(tmp_path / "hub", monkeypatch) as made:
        made.commits = {"main": FIRST}
        yield made


MAIN = {
    "data/partiprompts": HubFile(kind="hub", repo="some/prompts", revision="main", file="PartiPrompts.tsv"),
}


def drawn(originals: dict[str, Any], requests: int = 2) -> Sampled:
    return datasets.write(PARTI, Sample(requests=requests), Path("p.parquet"), originals)


def test_a_file_of_the_hub_at_a_branch(hub: Hub) -> None:
    taken = drawn(MAIN)
    assert taken.origin == {
        "kind": "hub",
        "repo": "some/prompts",
        "revision": FIRST,
        "file": "PartiPrompts.tsv",
        "asked": "main",
        "sha256": SHA256,
    }
    assert datasets.report(taken)[0] == f"hub file some/prompts PartiPrompts.tsv at {FIRST} (main), sha256 {SHA256}"
    # What the run is held against is what the config says, and is the same wherever the file came from.
    assert taken.dataset == PARTI.model_dump(mode="json")
    assert datasets.as_drawn(PARTI, Path("p.json")).source == MAIN["data/partiprompts"].model_copy(
        update={"revision": FIRST}
    )


def test_a_branch_that_moved_since_is_said(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    drawn(MAIN)
    hub.commits["main"] = SECOND
    with caplog.at_level(logging.WARNING):
        assert drawn(MAIN).origin["revision"] == FIRST
    assert any("main has moved to 222222222222; 111111111111 is fetched" in said for said in caplog.messages)
    assert datasets.replaced(PARTI, Path("p.json")) is None
    for kept in Path("data/fetched/revisions").iterdir():
        kept.unlink()
    datasets.write(PARTI, Sample(requests=1), Path("other.parquet"), MAIN)
    said = datasets.replaced(PARTI, Path("p.json"))
    assert said is not None
    assert said.startswith("p.parquet: main of some/prompts was the commit 111111111111 then, and is 222222222222 now")
    assert said.endswith("; what was drawn is served, delete it to draw anew")


def test_an_address_with_its_digest(host: Host) -> None:
    host.files["/PartiPrompts.tsv"] = TABLE
    source = UrlFile(kind="url", url=f"{host.address}/PartiPrompts.tsv", sha256=SHA256)
    taken = drawn({"data/partiprompts": source})
    assert taken.origin == {"kind": "url", "url": source.url, "file": "PartiPrompts.tsv", "sha256": SHA256}
    assert datasets.report(taken)[0] == f"url file {source.url}, sha256 {SHA256}"
    assert datasets.as_drawn(PARTI, Path("p.json")).source == source


def test_what_lies_under_data_comes_first(hub: Hub) -> None:
    own = Path("data/partiprompts")
    own.mkdir(parents=True)
    (own / "PartiPrompts.tsv").write_bytes(TABLE + b"a bird\tAnimals\n")
    taken = drawn(MAIN, 3)
    assert (taken.origin["kind"], taken.rows) == ("local", 3)
    assert hub.resolved == []
    assert datasets.as_drawn(PARTI, Path("p.json")) == PARTI


def test_the_same_file_gives_the_same_prompts_wherever_it_was(hub: Hub) -> None:
    drawn(MAIN)
    fetched = Path("p.parquet").read_bytes()
    own = Path("data/partiprompts")
    own.mkdir(parents=True)
    (own / "PartiPrompts.tsv").write_bytes(TABLE)
    drawn(MAIN)
    assert Path("p.parquet").read_bytes() == fetched


def test_without_an_original_the_error_says_what_to_do() -> None:
    with pytest.raises(
        UserError, match=r"no such file; check dataset\.source, or say under originals where to fetch it"
    ):
        drawn({})


@pytest.mark.parametrize(("status", "code"), [(401, "GatedRepo"), (403, "GatedRepo")])
@pytest.mark.parametrize("has_token", [False, True])
def test_a_gated_dataset_names_its_page(
    hub: Hub, status: int, code: str, has_token: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.refuses["some/prompts"] = (status, code)
    if has_token:
        monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    with pytest.raises(UserError) as error:
        drawn(MAIN)
    found = "the account of HF_TOKEN was refused" if has_token else "HF_TOKEN is not set"
    said = str(error.value)
    assert f"gated, and {found}; accept its terms at http://127.0.0.1:" in said
    assert "/datasets/some/prompts and set HF_TOKEN" in said
    assert "\n" not in said
    assert "hf_of_mine" not in said


# Pictures, one by one.

NAMES = [f"{number:012d}.jpg" for number in range(8)]


@pytest.fixture
def pictures(host: Host) -> Host:
    """Eight rows, whose pictures a host has but for two: one is not there, one is no picture."""
    rows = [
        {"id": name, "image": name, "conversations": [
            {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": f"It is {name}."}]}
        for name in NAMES
    ]  # fmt: skip
    Path("data").mkdir()
    Path("data/llava").write_text(json.dumps(rows))
    for name in NAMES:
        host.files[f"/train2017/{name}"] = painted("red", kind="JPEG")
    del host.files[f"/train2017/{NAMES[2]}"]
    host.files[f"/train2017/{NAMES[5]}"] = b"no picture"
    return host


def seen(host: Host, requests: int) -> Sampled:
    folder = UrlFolder(kind="url-folder", url=f"{host.address}/train2017/")
    return datasets.write(LLAVA, Sample(requests=requests), Path("p.parquet"), {"data/coco/train2017": folder})


def test_only_the_pictures_that_are_drawn_are_fetched(pictures: Host) -> None:
    taken = seen(pictures, 3)
    assert len(pictures.asked) == taken.looked_at
    assert taken.origin["media"] == f"{pictures.address}/train2017/"
    assert taken.prompts["image"].null_count() == 0


def test_a_picture_that_is_not_there_is_counted_with_its_reason(pictures: Host) -> None:
    taken = seen(pictures, 6)
    assert taken.unusable == {"image not decodable": 1, "image not there": 1}
    assert sorted(taken.prompts["source_id"]) == sorted(set(NAMES) - {NAMES[2], NAMES[5]})


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("500", "the host answered 500 Internal Server Error, 3 times"),
        ("cut", "the host broke off, 3 times"),
        ("403", "the host answered 403 Forbidden"),
        ("429 3600", "asks to wait 3,600 s"),
    ],
)
def test_a_host_that_fails_never_changes_which_rows_are_drawn(pictures: Host, fault: str, says: str) -> None:
    pictures.faults = {f"/train2017/{name}": [fault] * 9 for name in NAMES}
    with pytest.raises(UserError, match=says):
        seen(pictures, 6)
    assert not Path("p.parquet").exists()
    pictures.faults = {f"/train2017/{name}": ["cut", "503"] for name in NAMES}  # each is served the third time
    assert seen(pictures, 6).unusable == {"image not decodable": 1, "image not there": 1}


def test_a_host_without_any_is_not_asked_for_all(pictures: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MOST_MISSING", 4)
    pictures.files.clear()
    with pytest.raises(UserError, match=r"has none of the first 4 files that are named; check dataset\.media"):
        seen(pictures, 6)
    assert len(pictures.asked) == 4


def test_a_name_that_leads_out_asks_for_nothing(host: Host) -> None:
    with media.opened(UrlFolder(kind="url-folder", url=host.address), "llava") as read:
        for name in ("../secret", "/etc/passwd", "a/../../b"):
            with pytest.raises(media.UnusableError, match="leads out"):
                read(name)
        host.files["/a%20b%3F.jpg"] = b"x"
        assert read("a b?.jpg") == b"x"
    assert host.asked == ["/a%20b%3F.jpg"]


# The config.


@pytest.mark.parametrize(
    "folder",
    [
        UrlFolder(kind="url-folder", url="https://host.test/x"),
        HubFolder(kind="hub-folder", repo="a/b", revision="main"),
    ],
)
def test_a_folder_is_no_original_of_a_file(raw: dict[str, Any], folder: UrlFolder) -> None:
    raw["originals"]["data/partiprompts"] = folder.model_dump()
    says = f"found {folder.kind}, expected hub or url: tasks.text-to-image.dataset.source reads one file"
    with pytest.raises(ConfigError, match=says):
        config.parse(raw)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://host.test/x", "begins with https:// or http://"),
        ("/etc/passwd", "begins with https:// or http://"),
        ("https://me:secret@host.test/x", "no user and no password"),
    ],
)
def test_an_address_that_is_none(raw: dict[str, Any], url: str, says: str) -> None:
    raw["originals"]["data/partiprompts"] = {"kind": "url", "url": url, "sha256": SHA256}
    with pytest.raises(ConfigError, match=says):
        config.parse(raw)


def test_every_original_of_the_config_is_known_but_the_videos() -> None:
    own = config.parse(plain(PROJECT / "config.yaml"))
    paths = {
        source.path
        for dataset, _ in own.prompts.values()
        for source in (dataset.source, dataset.media)
        if isinstance(source, LocalFile)
    }
    assert paths - set(own.originals) == {"data/sharegpt4video/videos"}
