"""Published splits: by name, checked, and with the persons on both sides counted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from nights.splits import SplitError, import_split
from preprocess import find_dataset
from preprocess.fetch import transfer
from preprocess.splitting.published import PUBLISHED, known_nights, read_published, shared_nights
from tests.conftest import SHARED_DATA

LISTS = SHARED_DATA / "wav2sleep_splits"

# Where the files of a cohort lie, and what its people are kept together by: its own recipe says
LAYOUTS = {
    "shhs": "polysomnography/edfs/{visit}/{night}.edf",
    "mesa": "polysomnography/edfs/{night}.edf",
    "wsc": "polysomnography/{night}.edf",
    "chat": "polysomnography/edfs/{group}/{night}.edf",
    "cfs": "polysomnography/edfs/{night}.edf",
    "ccshs": "polysomnography/edfs/{night}.edf",
    "mros": "polysomnography/edfs/{part}/{night}.edf",
}


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """{night: person} of all recordings of the published lists, as the recipes find them."""
    raw, groups = tmp_path_factory.mktemp("raw"), {}
    folds = [fold for name in PUBLISHED for fold in read_published(f"{name}={LISTS}")]
    listed = {night for fold in folds for nights in fold.values() for night in nights}
    for name, layout in LAYOUTS.items():
        for night in listed:
            if night.startswith(name):
                touch(raw / name / place(layout, night))
        spec, recordings, _ = find_dataset(name)
        for found in recordings(raw / name):
            groups[f"{spec.name}/{found.night}"] = f"{spec.prefix}-{found.person}"
    return groups


def place(layout: str, night: str) -> str:
    """Return the path of a night: the parts of its name are its visit and its group."""
    visit, part, *_ = night.split("-")
    group = "nonrandomized" if "nonrandomized" in night else part
    return layout.format(night=night, visit=visit, part=part, group=group)


def touch(path: Path) -> None:
    """Make an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.data("wav2sleep_splits")
def test_persons_on_both_sides_of_the_census_lists_are_counted(groups: dict[str, str]) -> None:
    nights, missing = known_nights(read_published(f"wav2sleep-census={LISTS}"), groups)
    assert missing == ""
    with pytest.raises(SplitError, match="persons on two sides"):
        import_split("census", nights, groups, source="wav2sleep")
    split = import_split("census", nights, groups, source="wav2sleep", accept_leaks=True)
    told = shared_nights(split, groups).splitlines()
    assert "fold 0: 114 of 500 nights of val are of 106 persons who are in train too" in told
    assert "fold 0: 61 of 500 nights of test are of 61 persons who are in train too" in told


@pytest.mark.data("wav2sleep_splits")
def test_the_lists_of_the_cohorts_share_persons_in_validation_alone(groups: dict[str, str]) -> None:
    nights, missing = known_nights(read_published(f"wav2sleep={LISTS}"), groups)
    assert missing == ""
    split = import_split("w2s", nights, groups, source="wav2sleep", accept_leaks=True)
    # 88 persons of SHHS and one of WSC
    assert shared_nights(split, groups) == (
        "fold 0: 89 of 1050 nights of val are of 89 persons who are in train too\n"
    )
    assert len(split.accepted) == 89


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder laid out as the published one, with the published numbers of nights."""
    for published in PUBLISHED.values():
        for part, names in published.lists.items():
            n_nights, filled = published.n_nights[part], len(names) - 1
            for name, count in zip(names, [n_nights - filled, *[1] * filled], strict=True):
                cohort = name.partition("/")[0]
                rows = (f"{cohort}-{part}-{night}\n" for night in range(count))
                path = tmp_path / name
                path.parent.mkdir(exist_ok=True)
                path.write_text("".join(rows))
    return tmp_path


@pytest.fixture
def address(lists: Path) -> Iterator[str]:
    """The same folder on a local server."""
    handler = partial(QuietHandler, directory=str(lists))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and writes no log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_named_lists_are_the_same_from_a_folder_and_an_address(lists: Path, address: str) -> None:
    (fold,) = read_published(f"wav2sleep={address}")
    assert [fold] == read_published(f"wav2sleep={lists}")
    assert {part: len(nights) for part, nights in fold.items()} == PUBLISHED["wav2sleep"].n_nights
    assert fold["test"][-1] == "mros-test-0"


def test_plain_lists_are_read_from_an_address(lists: Path, address: str) -> None:
    (fold,) = read_published(f"{address}/mros/")
    assert fold == {"test": ["mros-test-0"]}


@pytest.mark.parametrize("content", ["<html>not found</html>\n", ""])
def test_other_lists_than_the_published_are_refused(lists: Path, content: str) -> None:
    (lists / "census/test.txt").write_text(content)
    with pytest.raises(ValueError, match="nights in test, 500 were published: these are not its"):
        read_published(f"wav2sleep-census={lists}")


def test_a_list_that_is_not_there_is_no_night(lists: Path, address: str) -> None:
    (lists / "census/val.txt").unlink()
    for where in (str(lists), address):
        with pytest.raises(ValueError, match="0 nights in val, 500 were published"):
            read_published(f"wav2sleep-census={where}")


def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES_S", ())
    with pytest.raises(ValueError, match=r"train\.txt cannot be read"):
        read_published("http://127.0.0.1:9")


def test_an_unknown_name_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known names are wav2sleep, wav2sleep-census"):
        read_published(str(tmp_path / "wav3sleep"))
