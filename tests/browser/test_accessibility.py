"""Contrast, labels and roles, judged by axe-core and by the formula of WCAG itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from evaluation.plots.style import COLOURS
from recordings.simulate import simulate_night
from tests.browser.test_page import Person
from tests.makers.page_server import ROOT, Server

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def violations(page: Any) -> list[str]:
    """Return what axe-core finds on the page as it stands."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="no axe-core: pip install -r requirements-dev.txt",
    )
    found = axe.Axe().run(page, options=RULES).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:120]}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nights") / "night.edf"
    simulate_night(2, hours=0.2, montage="aasm9").write(path)
    return path


def test_no_state_of_the_page_breaks_a_rule(browser: Any, server: Server, night: Path) -> None:
    person = Person(browser, server)
    assert violations(person.page) == []
    person.drop(night)
    person.page.click("#channels summary")
    person.page.click("#lanes summary")
    assert violations(person.page) == []
    person.page.keyboard.press("Escape")
    person.stage()
    person.page.click("#statistics-card summary")
    assert violations(person.page) == []
    person.page.click("#help-open")
    assert violations(person.page) == []


def test_the_checker_sees_faults(browser: Any) -> None:
    page = browser.new_page()
    page.set_content("<input><p style='color: #aaa; background: #fff'>pale</p>")
    found = " ".join(violations(page))
    assert "label" in found
    assert "color-contrast" in found
    page.close()


@pytest.mark.parametrize("address", ["/docs", "/login"])
def test_the_other_pages_break_no_rule(browser: Any, server: Server, address: str) -> None:
    page = browser.new_page()
    page.goto(server.url + address)
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    page.close()


def luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2, 1.4.3)."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_letters_drawn_on_a_canvas_can_be_read() -> None:
    # No checker sees into a canvas: these are the letters of signals.js on the colours of stages.
    script = (ROOT / "web/static/signals.js").read_text(encoding="utf-8")
    light = re.search(r'\["N3", "R", "D"\]\.includes\(name\) \? "#fff" : "(#\w{6})"', script)
    assert light
    for stage, colour in COLOURS.items():
        letters = "#ffffff" if stage in ("N3", "R", "D") else light[1]
        assert contrast(letters, colour) >= 4.5, stage
    soft = re.search(r'SOFT = "(#\w{6})"', (ROOT / "web/static/dom.js").read_text(encoding="utf-8"))
    assert soft
    assert contrast(soft[1], "#ffffff") >= 4.5
