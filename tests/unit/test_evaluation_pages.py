"""The page of two scorings, and the page of a folder of nights."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from evaluation import cohort_page, comparison_page
from evaluation.alarm import Alarm
from evaluation.cohort_page import Cohort
from evaluation.comparison_page import Pair, disagreements
from evaluation.metrics import confusion, metrics_from
from evaluation.plain import plain
from evaluation.plots.pair import differences
from evaluation.statistics import sleep_statistics
from nights.hypnogram import Hypnogram
from nights.outcome import Refusal
from nights.stages import FOUR_CLASSES

EVIL = "<script>alert(1)</script>"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


def outside(page: str) -> list[str]:
    """Every address of the page that leads out of it."""
    pictured = re.sub(r'"data:[^"]*"', '"inside"', page)
    found = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'>) ]+)', pictured)
    return [address for address in found if address != "inside"]


def pair(**changes: Any) -> Pair:
    """Six epochs; the scorings differ in 2, 3 and 5, the second leaves out the last."""
    first = Hypnogram(np.array([0, 2, 2, 2, 4, 4]), start=datetime(2020, 1, 1, 23))
    proba = np.full((6, 5), 0.05, dtype=np.float32)
    said = [0, 1, 1, 2, 3, 4]
    proba[range(6), said] = 0.8
    proba[5] = np.nan
    second = Hypnogram.from_proba(proba, start=first.start)
    return replace(Pair("n1", (f"scorer {EVIL}", "stager"), first, second), **changes)


# ----------------------------------------------------------------------------- two scorings


def test_epochs_that_one_side_left_unscored_are_no_difference() -> None:
    given = pair()
    assert differences(given.first, given.second).tolist() == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]


def test_disagreements_are_stretches_of_one_kind_with_their_place_and_probability() -> None:
    rows = disagreements(pair())
    told = [(row["number"], row["last"], row["first"], row["second"]) for row in rows]
    assert told == [(2, 3, "N2", "N1"), (5, 5, "R", "N3")]
    assert rows[0]["time"] == "23:00:30"
    assert rows[0]["minutes"] == 1.0
    assert rows[0]["second_sure"] == pytest.approx(0.8)
    assert np.isnan(rows[0]["first_sure"])


def test_the_page_of_two_scorings_tells_kappa_and_needs_nothing_else() -> None:
    given = pair()
    page = comparison_page.render(given)
    assert f"{metrics_from(given.confusion)['kappa']:.3f}" in page
    assert "2–3" in page
    assert EVIL not in page
    assert ESCAPED in page
    assert not outside(page)
    assert page == comparison_page.render(given)


def test_scorings_that_agree_are_said_to_agree() -> None:
    given = pair()
    assert "Nowhere" in comparison_page.render(replace(given, second=given.first))


def test_scorings_of_other_classes_or_lengths_or_without_a_shared_epoch_are_refused() -> None:
    first = pair().first
    four = Hypnogram(np.zeros(6, dtype=int), classes=FOUR_CLASSES)
    with pytest.raises(ValueError, match="6 epochs of W N1 N2 N3 R, b 6 of W L D R"):
        Pair("n", ("a", "b"), first, four)
    with pytest.raises(ValueError, match="6 epochs .* b 5"):
        Pair("n", ("a", "b"), first, Hypnogram(np.zeros(5, dtype=int)))
    with pytest.raises(ValueError, match="a and b scored no epoch in common"):
        Pair("n", ("a", "b"), first, Hypnogram(np.full(6, -1)))


def test_a_simulated_pair_says_so() -> None:
    assert "nobody slept" in comparison_page.render(pair(simulated=("nobody slept it",)))


# ------------------------------------------------------------------------- a folder of nights


def facts(night: str, severity: str = "", *, seed: int = 0, judged: bool = False) -> dict[str, Any]:
    """What night.json would hold."""
    stages = np.random.default_rng(seed).integers(0, 5, 200)
    words = "flat lead", 9.0, 5.0, "%", "a rule", f"{night} is flat."
    alarms = [Alarm(*words, severity)] if severity else []  # type: ignore[arg-type]
    counts = confusion(stages, np.roll(stages, 1))
    agreement = {"result": metrics_from(counts) | {"confusion": counts}}
    return plain(
        {
            "night": night,
            "n_epochs": 200,
            "statistics": sleep_statistics(Hypnogram(stages)),
            "alarms": [asdict(alarm) for alarm in alarms],
            "agreement": agreement if judged else None,
            "stager": {"stager": "yasa"},
            "correction": {},
            "simulated": [],
        }
    )


def order(page: str) -> list[str]:
    """Names of the nights in the table, top to bottom."""
    table = page[page.index('class="sortable"') :]
    return re.findall(r'<tr><td><a href="[^"]*">([^<]*)</a>', table)


def test_the_gravest_nights_come_first() -> None:
    nights = [
        facts("calm"),
        facts("grave", "distrust"),
        facts("noted", "note"),
        facts("w", "warning"),
    ]
    page = cohort_page.render(Cohort("run", nights))
    assert order(page) == ["grave", "w", "noted", "calm"]
    looked = page[page.index('id="alarms"') : page.index('id="nights"')]
    assert "grave is flat." in looked
    assert "noted is flat." not in looked


def test_only_the_script_of_the_page_may_run() -> None:
    page = cohort_page.render(Cohort("run", [facts(EVIL, "distrust")]))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert scripts == [cohort_page.SCRIPT]
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert ESCAPED in page


def test_links_lead_to_the_reports_and_nowhere_else() -> None:
    given = Cohort("run", [facts("sub/a b"), facts("c")], links={"c": "../x/c/report.html"})
    assert sorted(outside(cohort_page.render(given))) == [
        "../x/c/report.html",
        "sub/a%20b/report.html",
    ]


def test_refusals_and_agreement_are_told() -> None:
    refusal = Refusal("bad.edf", "read", f"no EEG {EVIL}", "")
    nights = [facts("a", judged=True), facts("b", seed=1, judged=True), facts("c", seed=2)]
    page = cohort_page.render(Cohort("run", nights, [refusal]))
    assert f"no EEG {ESCAPED}" in page
    pooled = np.sum([n["agreement"]["result"]["confusion"] for n in nights[:2]], axis=0)
    assert f"{metrics_from(pooled)['kappa']:.3f}" in page
    assert "How the nights are spread" in page


def test_a_run_in_which_every_night_was_refused_has_a_page() -> None:
    page = cohort_page.render(Cohort("run", [], [Refusal("bad.edf", "read", "broken", "")]))
    assert "broken" in page
    assert "How the nights are spread" not in page


def test_statistics_that_a_night_lacks_are_a_dash_and_sort_as_missing() -> None:
    awake = facts("awake")
    awake["statistics"] = plain(sleep_statistics(Hypnogram(np.zeros(50, dtype=int))))
    page = cohort_page.render(Cohort("run", [awake]))
    assert 'data-value="nan">–<' in page
