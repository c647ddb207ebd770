"""A server of OpenAI's API that does what no server should: its point fails in one line, in time."""

import time

import pytest
from serving_http import Behaviour
from test_engines_server import Opens, count, folder, opens, run

from joulebench.errors import UserError

__all__ = ["count", "folder", "opens"]  # fixtures

FAULTS = {
    "stalls": "stops in the middle of an answer",
    "cuts": "ends its stream in the middle of an answer",
    "closes": "closes the connection in the middle of an answer",
    "429": "answers 429 (no room)",
    "500": "answers 500",
    "500 that stalls": "answers 500 and stops in the middle of saying why",
    "no stream": "answers at once, not as a stream",
    "no usage": "tells no usage",
    "ends early": "ends an answer before it is as long as asked",
    "too many": "sends more tokens than asked",
    "broken JSON": "sends broken JSON",
    "no line end": "sends a line without end",
    "error in the stream": "tells of an error in its stream",
    "another model": "answers as another model",
    "other prompt": "counts other prompt tokens than the tokenizer",
    "comments": "keeps the connection alive and sends no token",
    "endless": "sends text without end",
    "packed": "sends its stream compressed",
    "no HTTP": "answers in another protocol",
    "dead": "dies while requests are on their way",
}
"""What the server does, in words."""

SAID = {
    "stalls": "the server sent no token for 0.3 s, after 2 of 6 (stall_s)",
    "cuts": "the server cut its stream after 2 of 6 tokens",
    "closes": "the server closed the connection after 2 of 6 tokens",
    "429": 'the server answered 429 (Too Many Requests) {"error": {"message": "no room"}}',
    "500": "the server answered 500 (Internal Server Error)",
    "500 that stalls": 'the server answered 500 (Internal Server Error) {"error"',
    "no stream": "does not stream",
    "no usage": "the server tells no usage at the end of its stream",
    "ends early": "the server ended an answer after 1 of 6 tokens (stop): it does not heed what makes answers as long",
    "too many": "the server sends more than the 6 tokens that were asked for",
    "broken JSON": 'the server sends broken JSON: {"choices": [{"text": "x"',
    "no line end": "the server sends a line of over 1,048,576 bytes",
    "error in the stream": 'the server says in its stream: {"message": "CUDA out of memory"}',
    "another model": "the server answers as the model 'another', asked was 'tiny'",
    "other prompt": "tokens in a prompt that has",
    "comments": "the server sent no token for 0.3 s, after 0 of 6 (stall_s)",
    "endless": "the server sends text without end: 29 tokens, where 6 were asked for",
    "packed": "the server sends its stream compressed (gzip), which was not asked for",
    "no HTTP": "the server does not answer in HTTP as it should (",
    "dead": "the server closed the connection after 0 of 6 tokens",
}


def stall_s(fault: str) -> float:
    """On a busy machine too, only what stalls is told by it."""
    return 0.3 if "(stall_s)" in SAID[fault] else 10.0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(name, marks=pytest.mark.fault("fault", f"a measured server {what}", "its point fails in one line"))
        for name, what in FAULTS.items()
    ],
)
def test_a_server_that_misbehaves_fails_its_point_in_one_line(opens: Opens, fault: str) -> None:
    told = {"token_ids": False, "continuous": False} if fault == "endless" else {}
    engine = opens(Behaviour(fault, healthy=4, **told), stall_s=stall_s(fault))
    begun = time.monotonic()
    load = run(engine, requests=12)
    assert time.monotonic() - begun < 2
    assert load.failure is not None
    assert SAID[fault] in load.failure
    assert "\n" not in load.failure
    assert not engine._client._tasks  # type: ignore[attr-defined] # nobody waits any more


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_from_the_start_is_said_at_the_start(opens: Opens, fault: str) -> None:
    begun = time.monotonic()
    if fault == "other prompt":
        return  # the probe does not know what the server's template adds
    with pytest.raises(UserError, match=r"^the server [^\n]+$"):
        opens(Behaviour(fault), stall_s=stall_s(fault))
    assert time.monotonic() - begun < 2
