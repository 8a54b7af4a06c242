"""Published values of healthy adults stand in the report, with their source, and no others."""

from __future__ import annotations

import re

import numpy as np

from evaluation.body import DEFINITIONS as BODY
from evaluation.healthy import HEALTHY, SOURCES, beside_healthy
from evaluation.report import NightReport, render
from evaluation.statistics import DEFINITIONS, sleep_statistics
from nights.hypnogram import Hypnogram


def test_every_statistic_is_one_of_ours() -> None:
    assert HEALTHY.keys() <= DEFINITIONS.keys() | BODY.keys()


def test_only_what_the_night_has_is_set_beside_it() -> None:
    assert [told.words for _, told in beside_healthy({"tst_min": 400.0, "sme_percent": 9.0})] == [
        "Total sleep time, min"
    ]


def test_values_lie_within_their_brackets() -> None:
    for told in HEALTHY.values():
        for text in filter(None, (told.young, told.old)):
            value, low, high = map(float, re.findall(r"[\d.]+", text))
            assert low <= value <= high


def test_the_report_sets_them_beside_the_night_with_both_sources() -> None:
    night = Hypnogram(np.repeat([0, 2, 3, 4, 2], 100))
    told = {"statistics": sleep_statistics(night), "definitions": DEFINITIONS}
    without = render(NightReport("night", night, **told))
    assert "healthy adults" not in without  # of a nap no range is shown either
    page = render(NightReport("night", night, **told, ranges={"tst_min": (228, 549)}))
    assert "413.5 (345.6–451.9)" in page
    assert SOURCES.count("doi:") == 2
    assert "doi:10.5665/sleep.4730" in page
    assert "Lowest SpO2" not in page  # of which this night says nothing
