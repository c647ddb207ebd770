"""What a person sees of a run."""

import logging

import pytest

from joulebench.measure.progress import Display, load_of_others
from joulebench.measure.serving import Progress


def test_the_line_says_how_far_a_point_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Display("llm-chat one", 3) as display:
        display.show(1, "B = 8", Progress(finished=4, elapsed_s=2.0, share=0.25), 10.0)
        display.show(1, "B = 8", Progress(finished=4, elapsed_s=2.0, share=0.25), None, load_of_others(0.875, 0.125))
        display.show(2, "B = 8", Progress(finished=14, elapsed_s=2.0, share=1.0, answered=12, sample=40), 28.0)
    assert caplog.messages == [
        "llm-chat one 2/3, B = 8: 4 done, 2.5 J/response, 6 s left",
        "llm-chat one 2/3, B = 8: 4 done, no energy source, 6 s left; other processes use 88 % of the processors; "
        "the hypervisor takes 12 % of the processors",
        "llm-chat one 3/3, B = 8: 14 done, 2 J/response, the rest of the sample: 12 of 40 answered",
    ]


@pytest.mark.parametrize(("others", "stolen"), [(None, None), (0.0, 0.0), (0.02, 0.02)])
def test_a_quiet_machine_is_no_news(others: float | None, stolen: float | None) -> None:
    assert load_of_others(others, stolen) == []
