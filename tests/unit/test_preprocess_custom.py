"""A folder of one's own: looked at, described, corrected, made."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from nights.night import Night
from preprocess import find_dataset
from preprocess.check import check, report
from preprocess.custom import described
from preprocess.custom.survey import survey, write_description
from preprocess.recipe import Settings, make_nights
from preprocess.recipe.workers import each
from tests.makers.raw_folders import START, Marks, RawFolder, Signals
from tests.makers.scoring_text import EDFPLUS, codes, hmc_txt, pages

RATES = {"C4-A1": 200, "EOG links": 200, "EMG": 200, "Marker": 1}
EPOCHS = "W1223R"


def folder(root: Path, **files: object) -> Path:
    """Write a folder; `a__b.edf=...` is the file a/b.edf."""
    named = {name.replace("__", "/").replace("_dot_", "."): c for name, c in files.items()}
    return RawFolder(named, ()).write(root)  # type: ignore[arg-type]


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Two nights of one person and one of another, scorings as plain digits, one with a 5."""
    return folder(
        tmp_path / "clinic",
        P01_1_dot_edf=Signals(RATES),
        P01_1_stages_dot_txt=codes("W1223R"),
        P01_2_dot_edf=Signals(RATES),
        P01_2_stages_dot_txt=codes("W122W4"),
        P02_1_dot_edf=Signals(RATES),
        P02_1_stages_dot_txt=codes("WW1122"),
    )


def first_description(clinic: Path) -> Path:
    """Look at a folder and write its description beside the recordings."""
    path = clinic / "dataset.toml"
    write_description(survey(clinic), path)
    return path


def stages(out: Path, night: str) -> list[int]:
    """Return the stages of a night in the store."""
    return Night.open(out / "bb100" / f"clinic/{night}.json").stages.tolist()


def test_a_first_description_runs_as_it_is(clinic: Path, tmp_path: Path) -> None:
    dataset = described(first_description(clinic))
    tally = make_nights(dataset, Settings(out=tmp_path, view="bb100"), spread=each)
    assert tally.made == {"bb100": 3}
    assert stages(tmp_path, "P01_1") == [0, 1, 2, 2, 3, 4]
    known = Night.open(tmp_path / "bb100/clinic/P01_2.json")
    assert known.sidecar["person"] == "clinic-P01"
    assert known.channels == ("C4", "E1", "Chin")


def test_one_file_with_a_5_tells_what_4_means_in_all(clinic: Path, tmp_path: Path) -> None:
    dataset = described(first_description(clinic))
    make_nights(dataset, Settings(out=tmp_path, view="bb100"), spread=each)
    assert stages(tmp_path, "P01_2") == [0, 1, 2, 2, 0, 3]


def test_a_description_is_never_overwritten(clinic: Path) -> None:
    path = first_description(clinic)
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="is there already"):
        write_description(survey(clinic), path)
    assert path.read_text() == "mine"


def test_scorings_whose_names_differ_at_the_end_are_found(tmp_path: Path) -> None:
    marks = [(a, n, EDFPLUS[s]) for a, n, s in pages(EPOCHS)]
    root = folder(
        tmp_path,
        **{f"SC40{k}1E0-PSG_dot_edf": Signals(RATES) for k in (0, 1)},
        **{f"SC40{k}1EC-Hypnogram_dot_edf": Marks(marks) for k in (0, 1)},
    )
    seen = survey(root)
    assert seen.scoring == "{folder}/{stem:.7}*-Hypnogram.edf"
    assert described(first_description(root)).spec.scoring.format == "edfplus"


def test_scorings_in_another_folder_are_found(tmp_path: Path) -> None:
    root = folder(
        tmp_path, edf__a1_dot_edf=Signals(RATES), labels__a1_dot_txt=hmc_txt(EPOCHS, START)
    )
    assert survey(root).scoring == "labels/{stem}.txt"


def test_a_recording_may_hold_its_own_scoring(tmp_path: Path) -> None:
    marks = [(a, n, EDFPLUS[s]) for a, n, s in pages(EPOCHS)]
    root = folder(tmp_path, a1_dot_edf=Signals(RATES, marks=marks))
    assert survey(root).scoring == "{folder}/{name}"


def test_without_a_scoring_nights_are_stored_without_stages(tmp_path: Path) -> None:
    root = folder(tmp_path / "clinic", a1_dot_edf=Signals(RATES))
    dataset = described(first_description(root))
    make_nights(dataset, Settings(out=tmp_path, view="bb100"), spread=each)
    assert stages(tmp_path, "a1") == [-1] * 6


def test_a_table_gives_persons_families_and_labels(clinic: Path, tmp_path: Path) -> None:
    path = first_description(clinic)
    rows = "night,person,family,diagnosis\nP01_1,anna,f1,insomnia\nP02_1,bert,f1,healthy\n"
    (clinic / "nights.csv").write_text(rows)
    path.write_text(path.read_text().replace('table = ""', 'table = "nights.csv"'))
    make_nights(described(path), Settings(out=tmp_path, view="bb100"), spread=each)
    known = Night.open(tmp_path / "bb100/clinic/P01_1.json").sidecar
    assert (known["person"], known["group"]) == ("clinic-anna", "clinic-f1")
    assert known["labels"] == {"diagnosis": "insomnia"}


def test_own_words_for_stages_add_to_the_map(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "clinic", a1_dot_edf=Signals(RATES), a1_dot_txt="W\nleicht\nN2\nN2\nN3\nR\n"
    )
    path = first_description(root)
    text = path.read_text().replace("\n[stages]", '\n[stages]\n"leicht" = "N1"\n#', 1)
    assert 'scoring = "{folder}/{stem}.txt"  # not understood' in text
    text = text.replace('scoring_format = "auto"', 'scoring_format = "index_txt"')
    path.write_text(text.replace('stage_map = ""', 'stage_map = "words"'))
    make_nights(described(path), Settings(out=tmp_path, view="bb100"), spread=each)
    assert stages(tmp_path, "a1") == [0, 1, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('title = "x"', "unknown title; known are name, folder"),
        ("", "no name"),
        ('name = "x"', "no channels"),
        ('name = "x"\nunscored = "yes"', "unscored = 'yes': true or false is wanted"),
        ('name = "x"\nrecordings = "*.edf"', r"recordings = '\*.edf': a \[list\] is wanted"),
        ('name = "x"\nperson = "("\n[channels]\nC4 = ["C4"]', "unterminated"),
        ('name = "x"\n[channels]\nC4 = [1]', r"\[channels\] C4: a label or \[plus, minus\]"),
        ('name = "x"\n[channels]\nC9 = ["C9"]', "no channel C9"),
        ('name = "x"\n[channels]\nC4 = ["C4"]\n[stages]\nWK = "awake"', "awake: none of W"),
        ("name =", "Invalid value"),
    ],
)
def test_a_wrong_description_is_refused_by_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=reason) as caught:
        find_dataset(str(path))
    assert "dataset.toml: " in str(caught.value)


def test_check_says_what_a_run_would_do(clinic: Path, tmp_path: Path) -> None:
    (clinic / "P02_1_stages.txt").unlink()
    path = first_description(clinic)
    text = report(check(described(path), Settings(out=tmp_path, view="bb100")))
    assert "2 nights of 1 persons would be made, 1 refused" in text
    assert "refused  P02_1  P02_1_stages.txt: no such file" in text
    assert "C4            2 nights  'C4-A1' (2)" in text
    assert not list(tmp_path.glob("bb100/*"))


def test_remarks_of_a_scoring_are_not_written_down(tmp_path: Path) -> None:
    marks = [(a, n, EDFPLUS[s]) for a, n, s in pages(EPOCHS)]
    root = folder(tmp_path, a1_dot_edf=Signals(RATES, marks=[*marks, (5, 0, "Mrs Miller coughs")]))
    text = first_description(root).read_text()
    assert "Miller" not in text
    assert tomllib.loads(text)["stage_map"] == "edfplus"
