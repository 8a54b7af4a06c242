"""The report: complete, in order, escaped, alone in its file, and the same every time."""

from __future__ import annotations

import re
from collections import namedtuple
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from evaluation.alarm import Alarm, gravest_first
from evaluation.metrics import confusion, metrics_from
from evaluation.report import (
    ChannelRow,
    NightReport,
    ReferenceScoring,
    change_rows,
    describe,
    number,
    render,
    review_rows,
    write_report,
)
from evaluation.statistics import DEFINITIONS, sleep_statistics
from evaluation.traces import Trace
from nights.hypnogram import Hypnogram
from nights.stages import N1, N2, UNSCORED, R, W

Definition = namedtuple("Definition", "unit text")
EVIL = "<script>alert(1)</script>"


def alarm(severity: str, name: str = "flat lead") -> Alarm:
    return Alarm(name, 12.34, 5.5, "%", "a rule of this test", f"{name} is wrong.", severity)


@pytest.fixture(scope="module")
def report() -> NightReport:
    """Everything a report can hold, over 40 epochs."""
    rng = np.random.default_rng(20)
    proba = rng.dirichlet(np.ones(5), 40)
    raw = Hypnogram.from_proba(proba, start=datetime(2024, 5, 1, 22, 40), scorer="stager")
    stages = raw.stages.copy()
    stages[[5, 6]] = (stages[[5, 6]] + 1) % 5
    result = replace(raw, stages=stages, scorer="stager and language model")
    signals = tuple(
        Trace(name, rng.normal(0, 20, (40, 3000)).astype(np.float32)) for name in ("C4-M1", "Chin")
    )
    return NightReport(
        name="night7",
        hypnogram=result,
        raw=raw,
        alarms=(alarm("note", "nap"), alarm("distrust", "clipped"), alarm("warning", "hum")),
        statistics={
            "tst_min": 17.5,
            "rem_min": 5.0,
            "rem_percent": float("nan"),
            "rem_bouts": 2.0,
            "rem_latency_min": 62.0,
        },
        definitions={"tst_min": Definition("min", "Minutes of N1, N2, N3 and R")},
        ranges={"tst_min": (61.0, 603.5)},
        ranges_source="341 nights scored by people",
        channels=(ChannelRow("C4", "EEG C4-M1", "label", True), ChannelRow("O2", "", "absent")),
        eeg=signals[0],
        signals=signals,
        comparison=ReferenceScoring(raw, {"kappa": 0.8125}, np.eye(5, dtype=int)),
        provenance={"weights": "slm sha256 abc", "command": "stage night7.edf"},
        simulated=("This night was simulated.",),
        notes=("The header announced 3 records too many.",),
    )


@pytest.fixture(scope="module")
def html(report: NightReport) -> str:
    """The report drawn once."""
    return render(report)


@pytest.fixture(scope="module")
def brief(report: NightReport) -> NightReport:
    """The same report without signals, which is quick to draw."""
    return replace(report, signals=(), eeg=None, comparison=None)


class Page(HTMLParser):
    """Tags with their attributes, the plain text, and the order in which sections come."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.sections: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self.sections.append(dict(attrs)["aria-labelledby"])
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def test_alarms_come_first_and_every_part_follows_in_order(html: str) -> None:
    parts = ["alarms", "night", "statistics", "comparison", "matrices", "changes", "review"]
    assert Page(html).sections == [*parts, "channels", "provenance"]


def test_parts_without_data_are_left_out() -> None:
    page = Page(render(NightReport("bare", Hypnogram(stages=np.array([W, N1, N2])))))
    assert page.sections == ["alarms", "night", "matrices", "review"]
    assert "Not a real result" not in page.text
    assert "No alarm" in page.text


def test_the_gravest_alarm_stands_on_top_and_gives_the_verdict(html: str) -> None:
    text = Page(html).text
    assert text.index("clipped is wrong") < text.index("hum is wrong") < text.index("nap is wrong")
    assert "Do not trust this result" in text


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [("note", "No warning"), ("warning", "Look before use"), ("distrust", "Do not trust")],
)
def test_verdict_says_what_the_alarms_say(brief: NightReport, severity: str, verdict: str) -> None:
    assert verdict in Page(render(replace(brief, alarms=(alarm(severity),)))).text


def test_every_alarm_shows_its_number_its_limit_and_its_source(html: str) -> None:
    text = Page(html).text
    for piece in ("12.3 %", "5.5 %", "a rule of this test"):
        assert text.count(piece) == 3


def test_alarms_of_an_unknown_severity_are_refused() -> None:
    with pytest.raises(ValueError, match="'awful'"):
        alarm("awful")


def test_alarms_of_one_severity_keep_their_order() -> None:
    given = [alarm("note", "a"), alarm("warning", "b"), alarm("note", "c"), alarm("warning", "d")]
    assert [found.name for found in gravest_first(given)] == ["b", "d", "a", "c"]


def test_text_from_files_never_becomes_markup(report: NightReport) -> None:
    evil = replace(
        report,
        name=EVIL,
        hypnogram=replace(report.hypnogram, scorer=EVIL),
        alarms=(Alarm(EVIL, 1.0, 2.0, EVIL, EVIL, EVIL, "note"),),
        statistics={EVIL: 1.0},
        definitions={EVIL: Definition(EVIL, EVIL)},
        channels=(ChannelRow(EVIL, EVIL, EVIL, True, EVIL),),
        eeg=replace(report.eeg, name=EVIL),
        signals=(replace(report.signals[0], name=EVIL, unit=EVIL),),
        provenance={EVIL: EVIL},
        simulated=(EVIL,),
        notes=(EVIL,),
        ranges_source=EVIL,
    )
    html = render(evil)
    assert "<script" not in html.lower()
    assert "%3cscript" not in html.lower()  # inside the pictures
    assert "&lt;script&gt;" in html


def test_nothing_comes_from_another_host_and_no_script_runs(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "link", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    policies = [
        a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    sheet = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in sheet
    assert "@import" not in sheet


def test_every_element_is_closed_and_no_id_stands_twice(html: str) -> None:
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert page.open == []
    assert len(ids) == len(set(ids))


def test_every_picture_has_a_text_for_those_who_cannot_see_it(html: str) -> None:
    pictures = [attributes for tag, attributes in Page(html).tags if tag == "img"]
    assert len(pictures) == 1 + 2 + 6
    assert all(picture["alt"] for picture in pictures)


def test_description_gives_the_shares_of_the_scored_epochs() -> None:
    night = Hypnogram(stages=np.array([W, R, R, R, UNSCORED]))
    assert (
        describe(night)
        == "Hypnogram of 5 epochs, 4 scored: W 25 %, N1 0 %, N2 0 %, N3 0 %, R 75 %."
    )
    assert "none of them scored" in describe(Hypnogram(stages=np.array([UNSCORED])))


def test_changes_say_which_epoch_from_what_to_what_with_what_probability(
    report: NightReport,
) -> None:
    rows = change_rows(report)
    raw, result = report.raw, report.hypnogram
    assert [row["number"] for row in rows] == [6, 7]
    assert rows[0]["time"] == "22:42:30"
    assert (rows[0]["before"], rows[0]["after"]) == (raw.names[5], result.names[5])
    assert rows[0]["before_proba"] == pytest.approx(raw.proba[5].max())
    assert rows[0]["after_proba"] == pytest.approx(result.proba[5, result.stages[5]])


def test_review_goes_from_the_most_to_the_less_doubtful(report: NightReport) -> None:
    rows = review_rows(report)
    result = report.hypnogram
    given = result.proba[np.arange(40), result.stages]
    assert len(rows) == 20
    assert [row["number"] - 1 for row in rows] == np.argsort(given, kind="stable")[:20].tolist()
    assert [bool(row["picture"]) for row in rows] == [True] * 6 + [False] * 14


def test_unscored_epochs_are_not_up_for_review(brief: NightReport) -> None:
    stages = brief.hypnogram.stages.copy()
    stages[::2] = UNSCORED
    rows = review_rows(replace(brief, hypnogram=replace(brief.hypnogram, stages=stages)))
    assert {row["number"] % 2 for row in rows} == {0}


def test_without_probabilities_the_report_says_that_doubt_is_unknown(brief: NightReport) -> None:
    bare = brief.hypnogram.with_stages(brief.hypnogram.stages)
    assert "gave no probabilities" in Page(render(replace(brief, hypnogram=bare))).text


def test_statistics_come_with_unit_definition_and_range(html: str) -> None:
    text = Page(html).text
    assert "Total sleep time 17.5 min usually 61 to 604" in text
    assert "tst_min 17.5 min Minutes of N1, N2, N3 and R" in text
    assert "341 nights scored by people" in text


def test_statistics_of_stages_are_a_table_with_a_row_for_each(html: str) -> None:
    text = Page(html).text
    assert "Stage Minutes % of sleep Latency, min Bouts Mean bout, min REM 5 – 62 2 –" in text
    assert "rem_bouts" not in text


def test_every_statistic_of_a_night_is_shown() -> None:
    night = Hypnogram(stages=np.repeat([W, N1, N2, R, W], 20))
    statistics = sleep_statistics(night)
    bare = NightReport("n", night, statistics=statistics, definitions=DEFINITIONS)
    text = Page(render(bare)).text
    for name in statistics:
        if not name.startswith(("wake_b", "wake_m", "n1_", "n2_", "n3_", "rem_")):
            assert f"{name} {number(statistics[name])}" in text
    for row in ("WAKE 20 – – 2 10", "N1 10 33.3 0 1 10", "N3 0 0 – 0 –"):
        assert row in text


def test_agreement_with_a_reference_is_shown_whole_and_by_stage(brief: NightReport) -> None:
    counts = confusion(brief.raw.stages, brief.hypnogram.stages)
    metrics = metrics_from(counts)
    text = Page(
        render(replace(brief, comparison=ReferenceScoring(brief.raw, metrics, counts)))
    ).text
    assert f"accuracy {number(metrics['accuracy'])}" in text
    assert f"macro F1 {number(metrics['macro_f1'])}" in text
    columns = [metrics[f"per_stage_{what}"]["N2"] for what in ("f1", "precision", "recall")]
    assert " ".join(["N2", *map(number, columns)]) in text


def test_simulated_nights_and_weights_are_called_so_before_anything_else(html: str) -> None:
    text = Page(html).text
    assert text.index("Not a real result") < text.index("This night was simulated.")
    assert text.index("This night was simulated.") < text.index("Can this night be trusted?")


def test_report_says_that_it_is_no_medical_device(html: str) -> None:
    assert "not a medical device" in Page(html).text


def test_the_date_of_the_recording_is_not_shown(html: str) -> None:
    assert "22:40:00" in html
    assert "2024" not in Page(html).text


def test_same_night_gives_the_same_file(report: NightReport, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(report, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_a_whole_night_stays_below_one_megabyte(rng: np.random.Generator) -> None:
    proba = rng.dirichlet(np.full(5, 0.5), 1000)
    signals = tuple(
        Trace(name, rng.normal(0, 20, (1000, 3000)).astype(np.float32)) for name in "ABCDEF"
    )
    night = Hypnogram.from_proba(proba)
    raw = night.with_stages(rng.integers(0, 5, 1000), proba=None)
    html = render(NightReport("night", night, raw=raw, eeg=signals[0], signals=signals))
    assert len(html.encode()) < 1_000_000


@pytest.mark.parametrize("stages", [[], [UNSCORED] * 4, [R]], ids=["none", "unscored", "one"])
def test_strange_nights_have_a_report(stages: list[int]) -> None:
    night = Hypnogram(stages=np.array(stages, dtype=int))
    assert "</html>" in render(NightReport("odd", night, raw=night))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3.0, "3"), (479.55, "479.6"), (12.34, "12.3"), (0.01234, "0.0123"), (float("nan"), "–")],
)
def test_numbers_are_short(value: float, shown: str) -> None:
    assert number(value) == shown


def test_improbable_epochs_are_listed_behind_the_doubtful_ones() -> None:
    proba = np.full((40, 5), 0.05, dtype=np.float32)
    proba[:, N2] = 0.8
    nats = np.full(40, 0.1)
    nats[33] = 9.0
    night = Hypnogram.from_proba(proba)
    rows = review_rows(NightReport("n", night, surprisal=nats))
    assert rows[-1]["number"] == 34
    assert rows[-1]["surprise"] == "9"
    assert "Surprise" in render(NightReport("n", night, surprisal=nats))
    assert "Surprise" not in render(NightReport("n", night))
