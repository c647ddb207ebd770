"""The studies on the leaderboard page, in a real browser."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
from building import RESULTS, table_of
from paged import LUMINANCE, Page, opened
from test_site import HOSTILE, points, whole
from test_site_studies import at_once, of_length

from joulebench import site
from joulebench.plan import plan
from joulebench.plan.studies import measured
from joulebench.site.studies import Study, Unfinished
from joulebench.tables.files import read_csv
from joulebench.tables.schemas import CLAIMS, STUDY

pytestmark = chromium.NEEDS
FORMULA = HOSTILE[2]
MARKS = "#study-chart .mark"
FLAGGED = {"verdict": "flagged: drift (4, at most 3)"}


def volume() -> Study:
    """Halved with each step from 1 to 16 at once; one point is flagged, one voided by a check, one without a window."""
    rows = [
        at_once(1, 160.0),
        at_once(2, 80.0, **FLAGGED),
        at_once(4, 40.0, verdict="invalid: no stationary window", responses_per_s=None),
        at_once(8, 20.0, verdict="invalid: others on the GPU (0.4, at most 0.05)"),
        at_once(16, 10.0, status="overloaded", reason="memory ran short"),
    ]
    rows = [row | {"knee": 4.2, "knee_low": 3.1, "knee_high": 5.6} for row in rows]
    return Study("h100", "volume", "what so many at once cost", table_of(STUDY, *rows))


def lengths() -> Study:
    """Two variants, answers of 1 and 64 tokens: 2 and 128 J of the plain one, 3 and 192 J of the other."""
    rows = [
        of_length(tokens, joules * tokens, variant=variant, **changes)
        for variant, joules, changes in ((None, 2.0, {}), ("int8", 3.0, FLAGGED))
        for tokens in (1, 64)
    ]
    rows = [row | {"decode_energy_per_token_j": 4.0 if row["output_tokens"] == 64 else None} for row in rows]
    claim = {
        **{"claim": "int8 takes 1.4 times the energy", "source": "a paper", "study": "lengths", "a": "o64"},
        **{"b": "o64 +int8", "claimed_ratio": 1.4, "input_token_ratio": 1.5, "input_token_ratio_low": 1.2},
        **{"input_token_ratio_high": 1.9, "verdict": "held", "reason": "o64 +int8: flagged: drift"},
    }
    return Study("h100", "lengths", "what a long answer costs", table_of(STUDY, *rows), table_of(CLAIMS, claim))


def hostile() -> list[Study]:
    found = []
    for name in HOSTILE:
        words = {"variant": name, "engine": name, "dtype": name, "device": name, "card": name, "dataset": name}
        rows = [
            at_once(n, 10.0 * n, model=name, verdict=f"flagged: {name}", energy_source=name, **words) for n in (1, 2)
        ]
        said = dict.fromkeys(("claim", "source", "study", "a", "b", "verdict", "reason"), name)
        found.append(Study(name, name, name, table_of(STUDY, *rows), table_of(CLAIMS, said)))
    return found


def published() -> list[Study]:
    """The committed studies of an H100, with the claims."""
    claims = read_csv(RESULTS / "h100" / "studies" / "hpml-claims.csv", CLAIMS)
    found = []
    for path in sorted((RESULTS / "h100" / "studies").glob("*.csv")):
        if "." not in path.stem and path.stem != "hpml-claims":
            held = claims.filter(claims["study"] == path.stem)
            found.append(Study("h100", path.stem, "what it costs", read_csv(path, STUDY), held))
    return found


def made(name: str) -> str:
    tables = {"h100": whole(points(["a/b"]))}
    left = (Unfinished("h100", "large", "llm-chat", 2, 7),)
    if name == "few":
        return site.page(tables, studies=(volume(), lengths()), unfinished=left)
    if name == "unfinished":
        return site.page(tables, unfinished=left)
    if name == "other-task":
        image = whole(points(["a/b"], task="text-to-image"))
        return site.page({"h100": tables["h100"], "h200": image}, studies=(volume(),))
    if name == "estimated":
        rows = [of_length(n, 2.0 * n, energy_source="codecarbon_estimate") for n in (1, 8)]
        return site.page(tables, studies=(Study("cpu", "a", "what it costs", table_of(STUDY, *rows)),))
    if name == "none":
        return site.page(tables)
    return site.page(tables, studies=hostile() if name == "hostile" else published())


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with opened(tmp_path_factory, made) as page:
        yield page


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    """The browser, which has nothing to complain of afterwards and has asked no network for anything."""
    yield browser
    assert browser.troubles() == []


def rows_of(page: Page) -> list[list[str]]:
    found: list[list[str]] = page.js(
        "return [...document.querySelectorAll('.study-rows tbody tr')].map((row) =>"
        "[...row.children].map((cell) => cell.textContent.trim()))"
    )
    return found


def places(page: Page, series: int = 0) -> list[list[float]]:
    """x and y on the screen of the marks of one line, by their order."""
    found: list[list[float]] = page.js(
        "return [...document.querySelectorAll('#study-chart .run')[arguments[0]].querySelectorAll('.shape')]"
        ".map((one) => one.getBoundingClientRect()).map((box) => [box.x + box.width / 2, box.y + box.height / 2])",
        series,
    )
    return found


def test_the_first_study_is_open_and_says_what_it_varies(page: Page) -> None:
    page.open("few")
    assert page.texts("#study option") == ["volume", "lengths"]
    assert page.texts("#study-title") == ["volume on h100"]
    assert page.texts("#study-asks") == ["What so many at once cost. Varies: requests at once, 1 to 16."]
    assert page.texts("#study-chart .title") == ["Requests at once", "Energy per response (J)"]
    assert page.texts("#study-legend small") == ["bends at 4.2 (95\xa0%: 3.1–5.6)"]
    assert not page.find("#study-claims").is_displayed()


def test_every_point_has_a_row_and_doubts_are_said(page: Page) -> None:
    page.open("few")
    rows = rows_of(page)
    assert [row[0] for row in rows] == ["1", "2", "4", "8", "16"]
    assert [row[1] for row in rows] == ["160", "80.0", "40.0", "–", "10.0"], "what a check voids is no figure"
    assert [row[-1] for row in rows] == [
        "valid",
        "flaggeddrift (4, at most 3)",
        "all of it onlyinvalid: no stationary window",
        "invalid: others on the GPU (0.4, at most 0.05)",
        "overloadedvalid",
    ]
    assert page.texts("#study-notices .notice") == [
        "1 of 5 points is flagged by a check: hollow in the chart; the last column says why.",
        "1 of 5 points is without a steady part, so that all of it alone is known: hollow in the chart.",
        "1 of 5 points is without figures and not drawn; the last column says why.",
    ]
    assert page.texts("#unfinished") == [
        "Not shown, as not every run was measured as the config says: large on h100 (2 of 7 runs)."
    ]


def test_the_chart_draws_what_counts_where_it_is(page: Page) -> None:
    page.open("few")
    (one, *_), drawn = places(page), places(page)
    assert len(drawn) == 4
    assert len(page.all(f"{MARKS} .hollow")) == 2
    assert len(page.all(f"{MARKS} .ring")) == 1
    # Both axes are logarithmic: halved from step to step, and 8 is left out.
    steps = [[place[0] - one[0], place[1] - one[1]] for place in drawn[1:]]
    for k, (x, y) in zip((1, 2, 4), steps, strict=True):
        assert x == pytest.approx(k * steps[0][0], abs=0.6)
        assert y == pytest.approx(k * steps[0][1], abs=0.6)
    assert page.all("#study-chart .interval") == []
    assert "No intervals: a ramp and a drain are no chance" in page.texts("#study-note")[0]
    assert "Not drawn, being without this figure: 1 point (requests at once: 8)." in page.texts("#study-note")[0]


def test_lines_differ_in_colour_and_in_mark_as_their_legend_does(page: Page) -> None:
    page.open("few", "#study=h100/lengths")
    looks = page.js(
        "return ['#study-chart .run', '#study-legend li'].map((lines) => [...document.querySelectorAll(lines)]"
        ".map((line) => line.querySelector('.shape'))"
        ".map((shape) => [getComputedStyle(shape).stroke, shape.getAttribute('d')]))"
    )
    (first, second), legend = looks
    assert [first, second] == legend
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert page.texts("#study-legend li") == ["a/b+int8", "a/b"], "that with the most energy first"
    assert len(page.all("#study-chart .interval")) == 4
    beside = [abs(a[0] - b[0]) for a, b in zip(places(page, 0), places(page, 1), strict=True)]
    assert min(beside) > 5, "marks of one place stand side by side"


def test_what_the_energy_is_of_can_be_chosen(page: Page) -> None:
    page.open("few", "#study=h100/lengths")
    assert page.texts("#per option") == [
        *("response", "output token", "further token written", "prompt token read"),
        "prompt token, with the answer’s energy",
    ]
    page.choose("per", "token")
    assert page.texts("#study-chart .title")[1] == "Energy per output token (J)"
    (left, right), (low, _) = places(page, 0), places(page, 1)
    assert left[1] == pytest.approx(right[1], abs=0.6), "3 J a token at both lengths"
    assert low[1] > left[1] + 20
    page.choose("per", "decoded")
    assert len(page.all(MARKS)) == 2
    assert len(page.all(f"{MARKS} .hollow")) == 1
    assert "(output tokens: 1)" in page.texts("#study-note")[0]
    page.choose("per", "prompt")
    assert len(page.all(MARKS)) == 2, "once each, where one token is written"


def test_an_address_brings_the_study_back_and_nonsense_is_passed_over(page: Page) -> None:
    page.open("few")
    page.choose("study", "h100/lengths")
    page.choose("per", "token")
    address = page.hash()
    assert address == "#study=h100%2Flengths&per=token"
    page.open("few", address)
    assert page.texts("#study-title") == ["lengths on h100"]
    assert page.find("#per").get_attribute("value") == "token"
    page.choose("study", "h100/volume")
    page.choose("per", "response")
    assert page.hash() == "#study=h100%2Fvolume"
    page.js("location.hash = '#study=x&per=constructor'")
    page.wait(lambda: page.texts("#study-title") == ["volume on h100"])
    assert page.texts("#study-chart .title")[1] == "Energy per response (J)"


def test_claims_stand_with_their_study(page: Page) -> None:
    page.open("few", "#study=h100/lengths")
    assert page.find("#study-claims").is_displayed()
    assert page.texts(".claims tbody th") == ["int8 takes 1.4 times the energyo64 → o64 +int8"]
    assert page.texts(".claims tbody td") == [
        *("1.4", "1.501.20–1.90", "–", "–"),
        "heldo64 +int8: flagged: drift",
    ]
    assert page.texts("#claims-source") == ["a paper"]
    page.find("#claims-download").click()
    [row] = page.downloaded("joulebench-lengths-claims.csv")
    assert (row["claimed_ratio"], row["verdict"]) == ("1.4", "held")


def test_rows_are_downloaded_with_all_that_is_known_of_them(page: Page) -> None:
    page.open("few")
    page.find("#study-download").click()
    rows = page.downloaded("joulebench-volume-points.csv")
    assert [row["requests"] for row in rows] == ["1", "2", "4", "8", "16"]
    assert [row["whole_energy_per_response_j"] for row in rows] == ["160", "80", "40", "20", "10"]
    assert {"standing", "axis_value"}.isdisjoint(rows[0])
    assert rows[3]["verdict"].startswith("invalid: others on the GPU")


def test_keys_alone_go_through_a_study(page: Page) -> None:
    page.open("few")
    page.js("document.querySelector('#study').focus()")
    page.keys("ARROW_DOWN")
    assert page.texts("#study-title") == ["lengths on h100"]
    page.js("document.querySelector('#study-chart svg').focus()")
    page.keys("ARROW_RIGHT", "ARROW_RIGHT")
    said = page.texts("#said")[0].replace("\xa0", " ")
    assert said.startswith("a/b, h100, 64 output tokens, int8: Energy per response 192 J (173–211)")
    assert "Checks drift (4, at most 3)" in said
    assert page.find("#tooltip").is_displayed()
    page.keys("ARROW_DOWN")
    assert "1 output tokens: Energy per response 2.00 J" in page.texts("#said")[0].replace("\xa0", " ")
    page.keys("ESCAPE")
    assert not page.find("#tooltip").is_displayed()


@pytest.mark.parametrize("name", ["few", "hostile", "published"])
def test_a_phone_shows_a_study_without_scrolling_sideways(page: Page, name: str) -> None:
    page.open(name, width=400)
    ids = [option.get_attribute("value") for option in page.all("#study option")]
    for id_ in ids:
        page.choose("study", id_)
        assert page.js("return document.documentElement.scrollWidth") == 400, id_
    outside = page.js(
        "return [...document.querySelectorAll('#studies *')].filter((one) => {"
        "if (one.closest('.scroll table, .unseen')) return false;"
        "const box = one.getBoundingClientRect(); return box.width > 0 && (box.right > 400.5 || box.left < -0.5)})"
        ".map((one) => one.outerHTML.slice(0, 80))"
    )
    assert outside == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_study_can_be_read_in_both_themes(page: Page, dark: bool) -> None:
    page.open("few", "#study=h100/lengths", dark=dark)
    ground = ["body", "backgroundColor"]
    for selector in ("#study-title", "#study-of", ".notice", ".standing", ".study-rows small", ".claims small"):
        assert page.js(LUMINANCE, [selector, "color"], ground) > 4.5, selector
    for selector in ("#study-chart .run.c0 .line", "#study-chart .run.c1 .line"):
        assert page.js(LUMINANCE, [selector, "stroke"], ground) > 2.4, selector


def test_the_open_study_prints(page: Page) -> None:
    page.open("few", "#study=h100/lengths", dark=True)
    page.media(dark=True, media="print")
    assert page.find("#study-title").is_displayed()
    assert page.find("#study-chart svg").is_displayed()
    assert page.find(".claims").is_displayed()
    assert not page.find("#study").is_displayed()
    assert not page.find("#study-download").is_displayed()
    page.media()
    printed = page.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"]
    assert base64.b64decode(printed).startswith(b"%PDF-")


def test_hostile_studies_are_text_everywhere(page: Page) -> None:
    page.open("hostile")
    inserted = "return document.querySelectorAll('body script:not([type]), img, [onerror], a[href^=http]').length"
    assert set(page.texts("#study option")) == {f"{name}, {name}" for name in HOSTILE}
    for name in HOSTILE:
        page.choose("study", f"{name}/{name}")
        assert page.texts("#study-title") == [f"{name} on {name}"]
        assert name in page.texts("#study-of")[0]
        assert name in page.texts(".study-rows .standing")[0]
        assert name in page.texts(".claims tbody th")[0]
        page.over(page.find(f"{MARKS} .shape"))
        assert page.find("#tooltip strong").text == name
        assert page.js(inserted) == 0
    page.open("hostile", page.hash())
    page.choose("study", f"{FORMULA}/{FORMULA}")
    page.find("#study-download").click()
    rows = page.downloaded("joulebench-1cmdccalcA1-points.csv")
    assert rows[0]["model"] == f"'{FORMULA}"
    assert page.js(inserted) == 0


def test_a_task_without_studies_has_no_section_of_them(page: Page) -> None:
    page.open("other-task")
    assert page.find("#studies").is_displayed()
    page.find("#tasks label:nth-of-type(2)").click()
    assert not page.find("#studies").is_displayed()
    page.find("#tasks label:nth-of-type(1)").click()
    page.wait(lambda: page.js("return document.querySelector('#study-chart svg').getBoundingClientRect().width") > 500)


def test_a_page_without_studies_has_no_section_of_them(page: Page) -> None:
    page.open("none")
    assert not page.find("#studies").is_displayed()


def test_a_study_that_is_not_whole_is_named_and_not_shown(page: Page) -> None:
    page.open("unfinished")
    assert page.find("#unfinished").is_displayed()
    assert not page.find("#study-open").is_displayed()
    assert not page.find("#study").is_displayed()


def test_estimates_are_said_to_be_some(page: Page) -> None:
    page.open("estimated")
    assert page.texts("#study-chart .title")[1] == "Energy per response (J, estimated)"
    assert page.texts("#study-notices .notice")[0].startswith("Estimated energy: from a model of the machine")


def test_the_published_studies_are_all_there_with_every_point(page: Page, raw: dict[str, Any]) -> None:
    page.open("published")
    expected = {one.study for one in measured(plan(raw)) if one.is_whole and one.hardware == "h100"}
    assert set(page.texts("#study option")) == expected
    for study in published():
        page.choose("study", f"h100/{study.name}")
        assert len(rows_of(page)) == study.table.height
        drawn = study.table.filter(study.table["study_energy_per_response_j"].is_not_null())
        assert len(page.all(MARKS)) == drawn.height
        assert page.find("#study-claims").is_displayed() == (study.claims.height > 0)
    assert Path(page.folder, "published.html").stat().st_size < 3e6
