"""The page driven as a person drives it: mouse, keyboard, two people, no word to other hosts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from recordings.simulate import simulate_night
from tests.makers.page_server import Server

PATIENCE_MS = 240_000  # a busy machine stages half an hour in a minute


class Person:
    """One visitor with a browser window of their own, whose complaints and requests are kept."""

    def __init__(self, browser: Any, server: Server) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda told: self._heard(told.type, told.text))
        self.page.on("pageerror", lambda error: self._heard("error", str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(server.url)
        self.page.wait_for_selector("#stager option", state="attached")

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def drop(self, path: Path) -> None:
        """Upload a recording and wait until it is drawn."""
        self.page.set_input_files("#file", path)
        self.page.wait_for_selector("#night:not([hidden])")
        self.page.wait_for_selector("#lane-list input", state="attached")

    def stage(self) -> None:
        """Stage the night that is shown."""
        self.page.click("#stage")
        self.page.wait_for_selector("#take-card:not([hidden])")

    def text(self, where: str) -> str:
        return self.page.inner_text(where)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nights") / "night.edf"
    simulate_night(1, hours=0.3, montage="aasm9").write(path)
    return path


@pytest.fixture(scope="module")
def person(browser: Any, server: Server, night: Path) -> Iterator[Person]:
    """A person with a staged night."""
    person = Person(browser, server)
    person.drop(night)
    person.stage()
    yield person
    assert person.complaints == []
    assert person.hosts == {f"127.0.0.1:{server.port}"}


def test_upload_channels_signals_and_result_are_shown(person: Person) -> None:
    page = person.page
    assert person.text("#name") == "night"
    assert "11 channels" in person.text("#facts")
    assert "simulated" in person.text("#banner")
    assert page.locator("#channels .map").first.locator("tbody tr").count() == 9
    assert page.locator("#queue button").count() > 20
    assert "Total sleep time" in person.text("#headlines")
    assert page.locator("#alarms li").count() >= 1
    for canvas in ("#signals", "#overview"):
        colours = page.evaluate(
            "selector => { const c = document.querySelector(selector);"
            " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            " const seen = new Set();"
            " for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i+1] << 8 | d[i+2]);"
            " return seen.size; }",
            canvas,
        )
        assert colours > 20, f"{canvas} is empty"


def test_a_mapping_is_corrected_by_hand_and_taken_back(person: Person) -> None:
    page = person.page
    channel, minus = page.get_by_label("Channel of C4"), page.get_by_label("Subtracted from C4")
    found = (channel.input_value(), minus.input_value())
    channel.select_option("2")
    page.wait_for_selector("#automatic:not([hidden])")
    page.get_by_label("Subtracted from C4").select_option("0")
    page.wait_for_selector("#lane-list label:has-text('C4')", state="attached")
    assert "stage again" in person.text("#stage-error")
    page.click("#automatic")
    page.wait_for_selector("#automatic", state="hidden")
    assert (channel.input_value(), minus.input_value()) == found


def test_a_click_on_the_hypnogram_jumps_there(person: Person) -> None:
    box = person.page.locator("#overview").bounding_box()
    person.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 60)
    epoch = int(person.page.get_attribute("#overview", "aria-valuenow"))
    assert 24 <= epoch <= 29  # of 36
    person.page.select_option("#span", "120")
    assert "120 seconds" in person.page.get_attribute("#signals", "aria-label")
    signals = person.page.locator("#signals").bounding_box()
    middle = signals["y"] + signals["height"] / 2
    person.page.mouse.move(signals["x"] + 900, middle)
    person.page.mouse.down()
    person.page.mouse.move(signals["x"] + 300, middle, steps=5)
    person.page.mouse.up()
    assert int(person.page.get_attribute("#overview", "aria-valuenow")) != epoch
    person.page.select_option("#span", "30")


def test_doubtful_epochs_are_scored_by_keys_undone_and_saved(
    person: Person, tmp_path: Path
) -> None:
    page = person.page
    page.locator("#queue button").first.click()
    first = int(page.get_attribute("#overview", "aria-valuenow"))
    assert page.locator("#queue button").first.get_attribute("data-epoch") == str(first - 1)
    page.keyboard.press("3")
    page.wait_for_selector("#queue button:has-text('N3 ✓')", state="attached")
    page.wait_for_selector(f"#live:has-text('Epoch {first} is now N3.')", state="attached")
    second = int(page.get_attribute("#overview", "aria-valuenow"))
    assert second != first
    page.keyboard.press("r")
    page.wait_for_selector("#queue button:has-text('R ✓')", state="attached")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#redo:not([disabled])")
    assert int(page.get_attribute("#overview", "aria-valuenow")) == second
    with page.expect_download() as saved:
        page.click("#take >> text=CSV")
    path = tmp_path / saved.value.suggested_filename
    saved.value.save_as(path)
    assert path.name == "recording-1-hypnogram.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert rows[first - 1]["stage"] == "N3"
    page.keyboard.press("Control+z")
    page.wait_for_selector("#undo[disabled]", state="attached")


@pytest.mark.parametrize("kind", ["EDF+", "TXT", "XLSX", "JSON", "Save report"])
def test_every_file_can_be_taken_away(person: Person, kind: str) -> None:
    with person.page.expect_download() as saved:
        person.page.click(f"#take >> text='{kind}'")
    assert Path(saved.value.path()).stat().st_size > 50


def test_the_report_opens_beside_and_runs_nothing(person: Person) -> None:
    with person.context.expect_page() as opened:
        person.page.click("#take >> text='Report'")
    report = opened.value
    report.wait_for_load_state()
    assert "recording 1 (EDF)" in report.inner_text("h1")
    assert report.locator("script").count() == 0
    report.close()


def test_the_files_own_name_is_used_when_asked(person: Person) -> None:
    page = person.page
    assert "recording 1 (EDF)" in person.text("#called")
    page.check("#show-file-name")
    page.wait_for_selector("#called:has-text('“night”')")
    with page.expect_download() as saved:
        page.click("#take >> text=Save report")
    assert saved.value.suggested_filename == "night-report.html"
    assert "<h1>night" in Path(saved.value.path()).read_text(encoding="utf-8").replace("\n", "")
    page.uncheck("#show-file-name")
    page.wait_for_selector("#called:has-text('recording 1 (EDF)')")


def test_a_second_person_sees_nothing_of_the_first(
    browser: Any, server: Server, person: Person, night: Path
) -> None:
    other = Person(browser, server)
    assert other.page.locator("#nights a").count() == 0
    other.page.goto(person.page.url)
    other.page.wait_for_selector("#start:not([hidden])")
    other.drop(night)
    assert other.page.locator("#nights a").count() == 1
    assert person.page.locator("#nights a").count() == 1
    other.page.on("dialog", lambda dialog: dialog.accept())
    other.page.click("#remove")
    other.page.wait_for_selector("#start:not([hidden])")
    assert other.complaints == []


def test_what_is_no_recording_is_refused_in_words(
    browser: Any, server: Server, tmp_path: Path
) -> None:
    person = Person(browser, server)
    (tmp_path / "night.edf").write_bytes(b"PK\x03\x04 not a night")
    person.page.set_input_files("#file", tmp_path / "night.edf")
    person.page.wait_for_selector("#start-error:not([hidden])")
    assert "an archive" in person.text("#start-error")


def test_everything_is_reached_with_the_keyboard_alone(
    browser: Any, server: Server, night: Path
) -> None:
    person = Person(browser, server)
    page = person.page
    page.keyboard.press("Tab")
    assert "Skip" in page.evaluate("() => document.activeElement.textContent")
    person.drop(night)
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id"))
    wanted = {"overview", "signals", "span", "back", "on", "higher", "lower", "help-open"}
    wanted |= {"stager", "decoder", "vote", "stage", "remove", "add"}
    assert wanted <= reached
    page.focus("#stage")
    page.keyboard.press("Enter")
    page.wait_for_selector("#take-card:not([hidden])")
    before = page.inner_text("#here")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#here") != before
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.focus("#keys-on")
    page.keyboard.press("Space")  # single keys off
    page.keyboard.press("Escape")
    before = page.inner_text("#here")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    assert page.inner_text("#here") == before
    assert page.is_disabled("#undo")
    assert person.complaints == []


@pytest.mark.data("real/dreams_spindles/excerpt3.edf")
def test_a_real_recording_is_mapped_by_hand_staged_and_reviewed(
    browser: Any, server: Server, shared_data: Path
) -> None:
    person = Person(browser, server)
    page = person.page
    person.drop(shared_data / "real/dreams_spindles/excerpt3.edf")
    assert "20 channels" in person.text("#facts")
    labels = page.get_by_label("Channel of C3").locator("option").all_inner_texts()
    occipital = next(text for text in labels if text.startswith("O1"))
    page.get_by_label("Channel of C3").select_option(label=occipital)
    page.wait_for_selector("#automatic:not([hidden])")
    person.stage()
    assert "O1" in person.text("#origin")
    page.keyboard.press("n")
    page.keyboard.press("2")
    page.wait_for_selector("#undo:not([disabled])")
    with page.expect_download() as saved:
        page.click("#take >> text=EDF+")
    assert saved.value.suggested_filename == "recording-1-hypnogram.edf"
    assert person.complaints == []
    assert person.hosts == {f"127.0.0.1:{server.port}"}


@pytest.mark.data("real/rsleep_nox/subject1.edf")
def test_a_home_recording_is_shown_and_what_cannot_be_staged_says_why(
    browser: Any, server: Server, shared_data: Path
) -> None:
    person = Person(browser, server)
    page = person.page
    person.drop(shared_data / "real/rsleep_nox/subject1.edf")
    assert page.locator("#lane-list input").count() > 3
    page.click("#stage")
    page.wait_for_selector("#take-card:not([hidden]), #stage-error:not([hidden])")
    assert person.text("#stage-error") == "" or "subject1" in person.text("#stage-error")
    assert person.complaints == []


@pytest.mark.slow
def test_a_whole_night_of_160_mb_is_staged_and_panned(
    browser: Any, server: Server, tmp_path: Path
) -> None:
    simulate_night(1, hours=8).write(tmp_path / "night.edf")
    person = Person(browser, server)
    person.drop(tmp_path / "night.edf")
    person.stage()
    for span in ("10", "3600", "86400"):
        person.page.select_option("#span", span)
        person.page.keyboard.press("End")
    assert person.page.get_attribute("#overview", "aria-valuenow") == "960"
    assert person.complaints == []
