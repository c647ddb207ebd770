"""What comes over the network: files at an address, and which commit a name of the hub stands for."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import Hub, serving
from file_host import Host, serving_files

from joulebench.downloads import NoSuchFileError, revisions, urls
from joulebench.errors import UserError

CONTENT = b"Prompt\tCategory\na cat\tAnimals\n" * 500
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FIRST, SECOND = "1" * 40, "2" * 40


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, without a token and without pauses."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(urls, "PAUSE_S", 0.0)
    return tmp_path


@pytest.fixture
def host() -> Iterator[Host]:
    with serving_files() as made:
        made.files["/in/Prompts.tsv"] = CONTENT
        yield made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    (tmp_path / "hub" / "some" / "prompts").mkdir(parents=True)
    with serving(tmp_path / "hub", monkeypatch) as made:
        made.commits = {"main": FIRST, "v1": FIRST}
        yield made


def broken(id_: str, what: str, outcome: str, *values: str) -> Any:
    """One case of a parametrized test, and its row in the page of reliability."""
    return pytest.param(*values, id=id_, marks=pytest.mark.fault("fault", what, outcome))


def fetched(host: Host, sha256: str = SHA256, most_bytes: int = 10**6) -> Path:
    return urls.file(f"{host.address}/in/Prompts.tsv", sha256, most_bytes, "dataset.source")


def test_a_file_is_kept_by_its_digest_and_fetched_once(host: Host) -> None:
    path = fetched(host)
    assert path == Path("data", "fetched", SHA256, "Prompts.tsv")
    assert path.read_bytes() == CONTENT
    assert fetched(host) == path
    assert host.asked == ["/in/Prompts.tsv"]
    path.write_bytes(b"damaged")
    assert fetched(host).read_bytes() == CONTENT


@pytest.mark.fault("fault", "a host that has another file than its SHA-256 says", "one line, and it is not kept")
def test_another_file_is_refused_and_not_kept(host: Host) -> None:
    with pytest.raises(UserError, match=f"has the SHA-256 {SHA256}, expected {'0' * 64}; nothing of it was kept"):
        fetched(host, "0" * 64)
    assert list(Path("data").rglob("*.tsv")) == []
    assert host.asked == ["/in/Prompts.tsv"]  # another attempt would bring the same


AGAIN = "asked for again, up to three times"


@pytest.mark.parametrize(
    "fault",
    [
        broken("cut", "a host that breaks off once", AGAIN, "cut"),
        broken("503", "a host that answers 503 once", AGAIN, "503"),
        broken("429", "a host that answers 429 once", AGAIN, "429"),
        "500",
        "429 0",
    ],
)
def test_what_fails_once_is_asked_for_again(host: Host, fault: str) -> None:
    host.faults["/in/Prompts.tsv"] = [fault]
    assert fetched(host).read_bytes() == CONTENT
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        broken("cut", "a host that always breaks off", "one line", "cut", "the host broke off, 3 times; run again"),
        ("503", "the host answered 503 Service Unavailable, 3 times; run again"),
        ("429", "the host answered 429 Too Many Requests, 3 times; run again"),
    ],
)
def test_what_fails_each_time_is_one_line(host: Host, fault: str, says: str) -> None:
    host.faults["/in/Prompts.tsv"] = [fault] * 9
    with pytest.raises(UserError, match=says) as error:
        fetched(host)
    assert "\n" not in str(error.value)
    assert "name it in dataset.source by kind: local" in str(error.value)
    assert len(host.asked) == 3
    assert [path for path in Path("data").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("401", "answered 401 Unauthorized; check the address"),
        broken(
            "403", "a host that answers 403", "one line, at once", "403", "answered 403 Forbidden; check the address"
        ),
        broken(
            "429 an hour",
            "a host that asks to wait an hour",
            "one line, at once",
            "429 3600",
            "asks to wait 3,600 s .status 429.; run again then",
        ),
        ("204", "answered 204 No Content"),
    ],
)
def test_what_will_fail_again_is_asked_for_once(host: Host, fault: str, says: str) -> None:
    host.faults["/in/Prompts.tsv"] = [fault] * 9
    with pytest.raises(UserError, match=says):
        fetched(host)
    assert len(host.asked) == 1


def test_a_file_larger_than_any_is_left_before_its_end(host: Host) -> None:
    with pytest.raises(UserError, match="over 1000 bytes, more than any that is meant"):
        fetched(host, most_bytes=1000)


def test_a_redirect_is_followed(host: Host) -> None:
    host.moved["/latest"] = "/in/Prompts.tsv"
    assert urls.file(f"{host.address}/latest", SHA256, 10**6, "x").name == "latest"
    assert host.asked == ["/latest", "/in/Prompts.tsv"]


def test_nobody_there_is_one_line(host: Host) -> None:
    with pytest.raises(UserError, match=r"could not be fetched \(.*\), 3 times"):
        urls.file("http://127.0.0.1:9/x", SHA256, 10**6, "x")


@pytest.mark.fault("fault", "a host that does not tell a picture's length", "one line: a part could be taken for all")
def test_a_file_without_a_digest_needs_a_length(host: Host) -> None:
    url = f"{host.address}/in/Prompts.tsv"
    assert urls.content(url, 10**6, "dataset.media") == CONTENT
    host.faults["/in/Prompts.tsv"] = ["no length"]
    with pytest.raises(UserError, match="does not tell its length"):
        urls.content(url, 10**6, "dataset.media")
    host.faults["/in/Prompts.tsv"] = ["no length"]
    assert fetched(host).read_bytes() == CONTENT  # where the digest is known it does not need one


@pytest.mark.parametrize("status", ["404", "410"])
def test_what_the_host_lacks(host: Host, status: str) -> None:
    host.faults["/in/Prompts.tsv"] = [status]
    with pytest.raises(NoSuchFileError, match="the host has no such file"):
        urls.content(f"{host.address}/in/Prompts.tsv", 10**6, "dataset.media")
    assert len(host.asked) == 1


def commit(revision: str) -> str:
    return revisions.commit("some/prompts", revision, "dataset", "dataset.source", "or fetch it elsewhere")


def test_a_commit_is_asked_of_nobody(hub: Hub) -> None:
    assert commit(SECOND) == SECOND
    assert hub.resolved == []


@pytest.mark.parametrize("name", ["main", "v1"])
def test_a_name_is_resolved_once_recorded_and_said(hub: Hub, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert commit(name) == FIRST
    kept = Path("data", "fetched", "revisions", f"datasets--some--prompts@{name}.json")
    told = json.loads(kept.read_text())
    assert (told["repo"], told["revision"], told["commit"]) == ("some/prompts", name, FIRST)
    assert f"some/prompts: {name} is the commit {FIRST}; it stays that ({kept})" in caplog.messages


@pytest.mark.fault(
    "fault", "a branch of the hub that moved since it was resolved", "said; the recorded commit is taken"
)
def test_a_branch_that_moved_is_said_and_not_taken(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    assert commit("main") == FIRST
    hub.commits["main"] = SECOND
    with caplog.at_level(logging.WARNING):
        assert commit("main") == FIRST
    (said,) = [one for one in caplog.messages if "moved" in one]
    assert said.startswith(f"some/prompts: main has moved to {SECOND[:12]}; {FIRST[:12]} is fetched")
    assert revisions.moved("some/prompts", "main", "dataset", FIRST) is None
    revisions.place("some/prompts", "main", "dataset").unlink()
    assert commit("main") == SECOND
    assert f"was the commit {FIRST[:12]} then, and is {SECOND[:12]} now" in str(
        revisions.moved("some/prompts", "main", "dataset", FIRST)
    )


def test_a_name_that_was_resolved_needs_no_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commit("main") == FIRST
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert commit("main") == FIRST


@pytest.mark.parametrize(
    ("repo", "revision", "says"),
    [
        broken(
            "tag",
            "a tag that the repository lacks",
            "one line",
            "some/prompts",
            "v9",
            "the repository has no such revision; check dataset.source",
        ),
        ("some/other", "main", "the hub shows no such repository; check dataset.source"),
    ],
)
def test_a_name_that_is_nothing(hub: Hub, repo: str, revision: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        revisions.commit(repo, revision, "dataset", "dataset.source", "or fetch it elsewhere")
    assert not Path("data").exists()


def test_a_record_that_is_none_is_one_line(hub: Hub) -> None:
    kept = revisions.place("some/prompts", "main", "dataset")
    kept.parent.mkdir(parents=True)
    kept.write_text('{"commit": "main"}')
    with pytest.raises(UserError, match="no record of a commit; delete it to ask the hub again"):
        commit("main")


def test_the_token_is_the_environment_s_alone(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hf_of_a_file")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    commit("main")
    assert hub.tokens == {None}
    monkeypatch.setenv("HF_TOKEN", "hf_of_mine")
    commit("main")
    assert hub.tokens == {None, "Bearer hf_of_mine"}
