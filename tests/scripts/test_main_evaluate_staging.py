"""`main_evaluate.py staging`, `compare` and `scorers` as a person runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import main_evaluate
from evaluation.outputs import NightOutput, write_outputs

ROOT = Path(__file__).resolve().parents[2]


def nights(rng: np.random.Generator, n: int = 4, sure: float = 0.8) -> list[NightOutput]:
    """Simulated nights with a graded stager, two people."""
    found = []
    for number in range(n):
        labels = np.repeat(np.random.default_rng(number).integers(0, 5, 60), 5)
        proba = rng.dirichlet(np.ones(5), 300) + sure * np.eye(5)[labels]
        found.append(
            NightOutput(
                f"n{number}", f"p{number // 2}", labels, proba, channels="C4", simulated=True
            )
        )
    return found


def test_a_stager_is_judged_from_its_file(tmp_path: Path, rng: np.random.Generator) -> None:
    both = [*nights(rng), *(replace(night, channels="C4 E1") for night in nights(rng, sure=1.2))]
    write_outputs(tmp_path / "net.npz", both)
    out = tmp_path / "out"
    words = ["staging", "--predictions", str(tmp_path / "net.npz"), "--out", str(out)]
    command = [sys.executable, str(ROOT / "main_evaluate.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "NOTE: 4 of 4 nights are simulated" in done.stdout
    for title in ("Agreement with the scoring", "Calibration", "By subset of channels"):
        assert title in done.stdout
    found = json.loads((out / "results.json").read_text())["stagers"]["net"]
    assert found["n_simulated_nights"] == 4
    assert found["channels"] == "C4 E1"
    assert len((out / "nights.csv").read_text().splitlines()) == 5
    pictures = {path.stem for path in out.glob("*.png")}
    assert pictures == {"confusion", "bland_altman", "reliability", "review", "channels"}
    assert (out / "summary.html").stat().st_size < 3_000_000
    # config.json gives the same results again
    again = subprocess.run(
        [
            *command[:2],
            "staging",
            "--config",
            str(out / "config.json"),
            "--out",
            str(tmp_path / "b"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "b" / "results.json").read_text() == (out / "results.json").read_text()


def test_one_source_that_knows_of_simulation_is_enough(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = write_outputs(tmp_path / "ours.npz", nights(rng))
    unaware = [replace(night, simulated=False) for night in nights(rng)]
    theirs = write_outputs(tmp_path / "theirs.npz", unaware)
    words = ["--out", str(tmp_path / "out"), "--dry-run"]
    assert main_evaluate.main(["compare", str(ours), str(theirs), *words]) == 0
    assert capsys.readouterr().out.startswith("NOTE: 2 of 2 nights are simulated")


def test_two_stagers_are_compared_and_other_nights_refused(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = write_outputs(tmp_path / "ours.npz", nights(rng))
    theirs = write_outputs(tmp_path / "theirs.npz", nights(rng, sure=1.5))
    out = ["--out", str(tmp_path / "out")]
    assert main_evaluate.main(["compare", str(ours), str(theirs), *out]) == 0
    assert "theirs against ours, the same nights" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["gains"]["accuracy"]["gain"]["value"] > 0
    assert (found["n_nights"], found["n_persons"]) == (4, 2)
    write_outputs(tmp_path / "theirs.npz", nights(rng)[:3])
    assert main_evaluate.main(["compare", str(ours), str(theirs), *out]) == 2
    assert "not in the second file: n3" in capsys.readouterr().err


def test_scorers_are_judged_with_a_stager_of_ones_own(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    made = nights(rng)
    pack = {}
    for night in made:
        wrong = rng.random((3, 300)) < 0.15
        pack[f"lab/{night.night}/scorers"] = np.where(wrong, rng.integers(0, 5, 300), night.labels)
    np.savez(tmp_path / "pack.npz", **pack)
    write_outputs(tmp_path / "net.npz", [replace(night, dataset="lab") for night in made])
    words = ["scorers", str(tmp_path / "pack.npz"), "--predictions", str(tmp_path / "net.npz")]
    assert main_evaluate.main([*words, "--voters", "2", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "* net" in told
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(found["raters"]["lab"]) == ["scorer 1", "scorer 2", "scorer 3", "net"]
    assert found["n_voters"] == 2
    assert "stager_against_all" in found["study"]["net"]["scores"]["kappa"]
    assert {"all scorers", "scorer 1", "net"} <= set(found["ceiling"])
    assert (tmp_path / "out" / "raters_lab.png").exists()


def test_a_thousand_nights_take_seconds(tmp_path: Path, rng: np.random.Generator) -> None:
    (first, *_) = nights(rng, 1)
    many = [
        replace(first, night=f"n{number}", person=f"p{number // 2}", simulated=False)
        for number in range(1000)
    ]
    path = write_outputs(tmp_path / "many.npz", many)
    start = time.process_time()
    out = str(tmp_path / "out")
    assert main_evaluate.main(["staging", "--predictions", str(path), "--out", out]) == 0
    assert time.process_time() - start < 15


@pytest.mark.parametrize("command", ["staging", "compare", "scorers"])
def test_help_loads_nothing_heavy(command: str) -> None:
    code = f"""
import sys, main_evaluate
try:
    main_evaluate.main([{command!r}, "--help"])
except SystemExit:
    pass
assert not {{"numpy", "torch", "matplotlib"}} & set(sys.modules), sys.modules.keys()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--seed" in done.stdout
