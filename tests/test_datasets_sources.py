"""Where a dataset's file comes from: the hub, this machine, the package; and the registry of datasets."""

import hashlib
from importlib import import_module
from pathlib import Path

import httpx
import huggingface_hub
import pytest
from building import REVISION
from huggingface_hub import errors

from joulebench import datasets
from joulebench.config.tasks import Dataset, FileSource, HubFile, LocalFile, Packaged, Sample
from joulebench.datasets import sources
from joulebench.errors import UserError
from joulebench.inputs.checked import ConfigError

HUB = HubFile(kind="hub", repo="some/prompts", revision=REVISION, file="in/Prompts.tsv")
TABLE = "Prompt\tCategory\na cat\tAnimals\na dog\tAnimals\n"


def local(path: Path) -> LocalFile:
    return LocalFile(kind="local", path=str(path))


def parti(source: FileSource) -> Dataset:
    return Dataset(name="partiprompts", source=source)


def answer(status: int) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "http://hub.test/file"))


def test_a_hub_file_is_asked_for_by_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blob").write_text(TABLE, encoding="utf-8")
    asked: list[tuple[object, ...]] = []

    def download(repo_id: str, filename: str, *, repo_type: str, revision: str, token: object) -> str:
        asked.append((repo_id, filename, repo_type, revision))
        return str(tmp_path / "blob")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    taken = datasets.sample(parti(HUB), Sample(requests=2))
    assert asked == [("some/prompts", "in/Prompts.tsv", "dataset", REVISION)]
    sha256 = hashlib.sha256(TABLE.encode()).hexdigest()
    assert taken.origin == {
        "kind": "hub",
        "repo": "some/prompts",
        "revision": REVISION,
        "file": "in/Prompts.tsv",
        "sha256": sha256,
    }
    assert datasets.report(taken) == [
        f"hub file some/prompts in/Prompts.tsv at {REVISION}, sha256 {sha256}",
        "2 rows, 2 usable, 0 not",
        "2 prompts drawn",
    ]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.LocalEntryNotFoundError("no network"), "check the network and HF_HUB_OFFLINE"),
        (
            errors.GatedRepoError("403", response=answer(403)),
            "HF_TOKEN is not set; accept its terms at https://huggingface.co/datasets/some/prompts and set HF_TOKEN",
        ),
        (
            errors.RepositoryNotFoundError("404", response=answer(404)),
            r"no such repository; check dataset\.source, set HF_TOKEN",
        ),
        (errors.RevisionNotFoundError("404", response=answer(404)), r"no such revision; check dataset\.source,"),
        (errors.RemoteEntryNotFoundError("404", response=answer(404)), r"no such file; check dataset\.source,"),
        (errors.HfHubHTTPError("500\nserver", response=answer(500)), r"the download failed \(500 server\)"),
        (errors.OfflineModeIsEnabled("offline"), r"the download failed \(offline\)"),
        (httpx.ReadTimeout("too slow"), r"the download failed \(too slow\)"),
        (OSError(28, "No space left on device"), r"the download failed \(.*No space left on device\)"),
        (RuntimeError(), r"the download failed \(RuntimeError\)"),
    ],
)
def test_what_goes_wrong_on_the_hub_is_one_line_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(UserError, match=says) as raised:
        sources.fetch(HUB, "packaged.tsv", "*.tsv")
    message = str(raised.value)
    assert message.startswith(f"in/Prompts.tsv of the dataset some/prompts at revision {REVISION}: ")
    assert "set dataset.source to kind: local" in message
    assert "\n" not in message


def test_the_hub_s_cache_is_enough_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "datasets--some--prompts" / "snapshots" / REVISION / "in"
    snapshot.mkdir(parents=True)
    (snapshot / "Prompts.tsv").write_text(TABLE, encoding="utf-8")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert sources.fetch(HUB, "packaged.tsv", "*.tsv") == snapshot / "Prompts.tsv"
    absent = HUB.model_copy(update={"file": "Other.tsv"})
    with pytest.raises(UserError, match="not in the hub's cache here, and the hub was not reached"):
        sources.fetch(absent, "packaged.tsv", "*.tsv")


def test_a_local_file_is_taken_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(TABLE, encoding="utf-8")
    taken = datasets.sample(parti(local(tmp_path / "mine.txt")), Sample(requests=1))
    assert taken.origin == {
        "kind": "local",
        "file": "mine.txt",
        "sha256": hashlib.sha256(TABLE.encode()).hexdigest(),
    }


def test_a_folder_is_searched_for_the_usual_name(tmp_path: Path) -> None:
    for name in ("ShareGPT_V3_a.json", "other.json", "ShareGPT_V3_a.json.part"):
        (tmp_path / name).touch()
    (tmp_path / "ShareGPT_V3_folder.json").mkdir()
    usual = "ShareGPT_V3*.json"
    assert sources.fetch(local(tmp_path), "x", usual) == tmp_path / "ShareGPT_V3_a.json"
    (tmp_path / "ShareGPT_V3_b.json").touch()
    with pytest.raises(UserError, match=r"2 files match ShareGPT_V3\*.json \(ShareGPT_V3_a.json, ShareGPT_V3_b.json\)"):
        sources.fetch(local(tmp_path), "x", usual)


def test_a_folder_without_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a folder without PartiPrompts\*.tsv; set dataset.source.path"):
        datasets.sample(parti(local(tmp_path)), Sample(requests=1))


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.tsv").touch()
    assert sources.fetch(local(Path("~/a.tsv")), "x", "*.tsv") == tmp_path / "a.tsv"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty; delete it and fetch it again"),
        (b" \n\n", "empty; delete it and fetch it again"),
        (b"Prompt\ncaf\xe9\n", r"not UTF-8 text \(byte 10 of 12"),
        (b"\x1f\x8b\x08\x00rest", "not UTF-8 text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n", "only a Git LFS pointer"),
    ],
)
@pytest.mark.parametrize("name", ["sharegpt", "partiprompts"])
def test_a_file_without_text_is_an_error_of_one_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        datasets.sample(Dataset(name=name, source=local(path)), Sample(requests=1))
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.tsv: no such file; check dataset.source"):
        datasets.sample(parti(local(tmp_path / "gone.tsv")), Sample(requests=1))


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not be read"):
        datasets.sample(parti(local(tmp_path / "file" / "under")), Sample(requests=1))


@pytest.mark.parametrize("name", sorted(datasets.DATASETS))
def test_every_dataset_has_a_packaged_sample_and_default_filters(name: str) -> None:
    module = import_module(datasets.DATASETS[name])
    packaged = Packaged(kind="packaged")
    assert sources.fetch(packaged, module.PACKAGED, module.USUAL).is_file()
    assert datasets.filters(Dataset(name=name, source=packaged)) == module.Filters()


def test_an_unknown_dataset_is_an_error_with_the_nearest_name() -> None:
    unknown = Dataset(name="share-gpt", source=Packaged(kind="packaged"))
    with pytest.raises(ConfigError, match=r"dataset.name: found 'share-gpt'.*did you mean 'sharegpt'\?"):
        datasets.filters(unknown)
    with pytest.raises(ConfigError, match="did you mean 'sharegpt'"):
        datasets.sample(unknown, Sample(requests=1))
