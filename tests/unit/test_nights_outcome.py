"""A run survives its bad nights, and its exit status tells the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nights.outcome import Outcome


def run(outcome: Outcome, errors: dict[str, Exception | None]) -> None:
    """Run one night per entry; it raises the given error."""
    for name, error in errors.items():
        with outcome.night(name) as step:
            step("stage")
            if error is not None:
                raise error


def test_one_bad_night_leaves_the_others_whole(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path / "failed.jsonl")
    run(outcome, {"a": None, "b": ValueError("b.edf: no EEG"), "c": None})
    assert outcome.finished == 2
    assert [(r.night, r.step, r.reason) for r in outcome.refusals] == [
        ("b", "stage", "b.edf: no EEG")
    ]
    assert "b  stage  b.edf: no EEG" in outcome.table()


def test_status_is_zero_only_if_every_night_succeeded(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path / "failed.jsonl")
    run(outcome, {"a": None})
    assert outcome.close() == 0
    run(outcome, {"b": OSError("gone")})
    assert outcome.close() == 1
    assert outcome.close(skip_errors=True) == 0


def test_an_unforeseen_error_is_a_row_with_its_type_and_place(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path / "failed.jsonl")
    run(outcome, {"a": KeyError("C4")})
    row = json.loads((tmp_path / "failed.jsonl").read_text())
    assert row["reason"] == "KeyError: 'C4'"
    assert "test_nights_outcome.py" in row["trace"]


def test_interruption_is_not_swallowed(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path / "failed.jsonl")
    with pytest.raises(KeyboardInterrupt), outcome.night("a"):
        raise KeyboardInterrupt


def test_a_good_rerun_clears_the_old_refusals(tmp_path: Path) -> None:
    run(Outcome(tmp_path / "failed.jsonl"), {"a": ValueError("bad")})
    again = Outcome(tmp_path / "failed.jsonl")
    run(again, {"a": None})
    assert again.close() == 0
    assert (tmp_path / "failed.jsonl").read_text() == ""
