"""Simulated cohorts: people, their nights, and what a night store makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import parse
from recordings.formats import open_recording
from recordings.simulate import simulate_night
from recordings.simulate.__main__ import Config, main
from recordings.simulate.cohort import Cohort, write_cohort


def test_names_tell_site_person_and_night() -> None:
    names = Cohort(5, per_person=2, site="BAR").names()
    assert names == ["BAR0001N1", "BAR0001N2", "BAR0002N1", "BAR0002N2", "BAR0003N1"]


def test_another_night_of_a_person_is_another_night_of_the_same_person() -> None:
    first, second = (simulate_night(3, night=n, hours=0.5, montage="home") for n in (0, 1))
    assert first.person == second.person
    assert first.hypnogram.stages.tolist() != second.hypnogram.stages.tolist()
    same = simulate_night(3, hours=0.5, montage="home")
    assert same.hypnogram.stages.tolist() == first.hypnogram.stages.tolist()


def test_a_larger_cohort_begins_with_the_smaller_and_leaves_it_alone(tmp_path: Path) -> None:
    small = Cohort(1, hours=0.05, montage="home")
    (path,) = write_cohort(small, tmp_path)
    before = path.stat().st_mtime_ns, path.read_bytes()
    list(write_cohort(Cohort(2, hours=0.05, montage="home"), tmp_path))
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_sites_are_other_people(tmp_path: Path) -> None:
    recorded = []
    for site in ("SIM", "BAR"):
        (path,) = write_cohort(Cohort(1, site=site, hours=0.05, montage="home"), tmp_path)
        recording = open_recording(path)
        assert recording.simulated
        recorded.append(recording.read(0).tolist())
    assert recorded[0] != recorded[1]


def test_the_command_line_writes_a_cohort(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--nights", "2", "--per-person", "2", "--hours", "0.05", "--montage", "home"]
    assert main(parse(Config, [*flags, "--out", str(tmp_path / "raw")])) == 0
    assert capsys.readouterr().out.count("simulated night of 0.05 h") == 2
    names = sorted(path.name for path in (tmp_path / "raw").iterdir())
    assert names == ["SIM0001N1.edf", "SIM0001N2.edf"]


@pytest.mark.parametrize(
    ("wrong", "told"), [({"n_nights": 0}, "0 nights"), ({"n_nights": 1, "site": "b1"}, "'b1'")]
)
def test_an_impossible_cohort_is_refused(wrong: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Cohort(**wrong)
