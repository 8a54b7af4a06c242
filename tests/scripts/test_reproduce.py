"""`reproduce.sh` as a person runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

import main_evaluate
from evaluation.reproduction import Row, beside, find_table, published_tables, reproduced

ROOT = Path(__file__).resolve().parents[2]
TABLES = [(system, name) for system, tables in published_tables().items() for name in tables]


def run(*words: str, **variables: str) -> subprocess.CompletedProcess:
    """Run the script."""
    command = ["bash", str(ROOT / "reproduce.sh"), *words]
    env = {**os.environ, "PYTHON": sys.executable, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def told(out: Path, system: str, name: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Return {(what, measure): (paper, ours)} of the table that a run left."""
    text = (out / f"reproduced-{system}-{name}.md").read_text(encoding="utf-8")
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:2] == "| "]
    return {(row[0], row[1]): (row[2], row[3]) for row in cells[1:]}


def check_flags(words: list[str]) -> None:
    """Parse one of our commands without running it; not a benchmark, which the runs below prove."""
    from command_line import parse

    if words[1] == "-m":
        module, rest = import_module(words[2]), words[3:]
    else:
        module, rest = import_module(Path(words[1]).stem), words[2:]
    if hasattr(module, "COMMANDS"):
        config, _ = module.COMMANDS[rest.pop(0)]
    elif module.__name__.startswith("benchmarks."):
        return
    else:
        config = get_type_hints(module.main)["cfg"]
    parse(config, rest)


def test_without_words_it_lists_every_table() -> None:
    done = run()
    assert done.returncode == 0, done.stderr
    listed = [tuple(line.split()[:2]) for line in done.stdout.splitlines()]
    assert listed == TABLES
    assert {system for system, _ in TABLES} == {
        *("sleepgpt", "lpsgm", "synthsleepnet", "wav2sleep", "seqsleepnet")
    }


@pytest.mark.parametrize("words", [("seqsleepnet", "moon"), ("seqsleepnet",), ("moon", "mass")])
def test_an_unknown_table_is_refused_with_those_there_are(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "mass-arnn" in done.stdout + done.stderr


@pytest.mark.parametrize(("system", "name"), TABLES)
def test_the_commands_of_every_table_are_printed_and_known(
    system: str, name: str, tmp_path: Path
) -> None:
    done = run(system, name, "--print", OUT=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())  # printed, not run
    commands = [shlex.split(line[2:]) for line in done.stdout.splitlines()]
    assert commands[-1][-5:-2] == ["table", system, name]
    for words in commands:
        if words[0] == sys.executable:
            check_flags(words)
            continue
        script, *step = words[words.index("bash") + 1 :]
        recipe = (ROOT / script).read_text(encoding="utf-8")
        if "case " in recipe:
            assert re.search(rf"^(?:.*\| )?{re.escape(step[0])}(?: \|.*)?\)$", recipe, re.MULTILINE)


@pytest.mark.parametrize(
    ("system", "name", "sentence"),
    [
        (
            "lpsgm",
            "unseen-centres",
            "MESA is wanted in {raw}/MESA; it is licensed: ask at https://",
        ),
        (
            "synthsleepnet",
            "labels",
            "SHHS is wanted in {raw}/SHHS; it is licensed: ask at https://",
        ),
        ("wav2sleep", "signals", "MROS is wanted in {raw}/MROS; it is licensed: ask at https://"),
        ("lpsgm", "tuned", "HANG7 is wanted in {raw}/HANG7; its holders do not give it away."),
        ("lpsgm", "narcolepsy", "MNC is wanted in {raw}/MNC; it is licensed: ask at https://"),
        ("seqsleepnet", "mass", "MASS is wanted in {raw}/MASS; it is licensed: ask at https://"),
        ("seqsleepnet", "transfer", "SleepEDF is wanted in {raw}/SleepEDF; it is open: `main_"),
        ("seqsleepnet", "tinysleepnet", "SleepEDF is wanted in {raw}/SleepEDF; it is open: `main_"),
    ],
)
def test_missing_data_are_told_in_a_sentence_and_nothing_runs(
    system: str, name: str, sentence: str, tmp_path: Path
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    done = run(system, name, RAW=str(raw), STORE=str(tmp_path / "data"), OUT=str(out))
    assert done.returncode == 1
    assert sentence.format(raw=raw) in done.stderr
    assert "$ " not in done.stdout
    assert not out.exists()


def test_trainings_that_are_finished_are_left_alone_and_begun_ones_go_on(tmp_path: Path) -> None:
    (tmp_path / "seqsleepnet").mkdir()
    (tmp_path / "seqsleepnet" / "results.json").write_text("{}")
    (tmp_path / "e2e-arnn" / "fold0").mkdir(parents=True)
    lines = run("seqsleepnet", "mass", "--print", OUT=str(tmp_path)).stdout.splitlines()
    assert f"{tmp_path}/seqsleepnet: finished, left alone" in lines
    assert "$ bash train.sh seqsleepnet" not in lines
    assert "$ bash train.sh e2e-arnn --resume" in lines
    assert "$ bash train.sh multitask-arnn" in lines


def test_missing_released_outputs_are_told_in_a_sentence(tmp_path: Path) -> None:
    done = run("seqsleepnet", "mass-arnn", DATA=str(tmp_path), OUT=str(tmp_path / "out"))
    assert done.returncode == 1
    assert f"{tmp_path}/mass_arnn_outputs.npz is missing" in done.stderr


@pytest.mark.data("sleepedf20_stager_outputs.npz")
def test_the_aggregated_cnn_stands_beside_its_published_accuracy(
    shared_data: Path, tmp_path: Path
) -> None:
    done = run("seqsleepnet", "sleepedf20", DATA=str(shared_data), OUT=str(tmp_path))
    assert done.returncode == 0, done.stderr
    paper, ours = told(tmp_path, "seqsleepnet", "sleepedf20")[
        "1-max CNN, three heads multiplied", "accuracy"
    ]
    assert paper == "82.3"
    assert float(ours) == pytest.approx(82.25, abs=0.02)  # logits at hand are in half precision


@pytest.mark.data("mass_arnn_outputs.npz")
def test_the_folds_of_arnn_pool_to_the_published_accuracy(
    shared_data: Path, tmp_path: Path
) -> None:
    done = run("seqsleepnet", "mass-arnn", DATA=str(shared_data), OUT=str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "seqsleepnet-mass-arnn" / "results.json").read_text())
    assert 100 * found["arnn"]["accuracy"] == pytest.approx(83.596, abs=5e-4)
    table = told(tmp_path, "seqsleepnet", "mass-arnn")
    assert table["E2E-ARNN", "accuracy"] == ("83.6", "83.60")
    assert (
        table["Multitask E2E-ARNN, heads together", "accuracy"][1] == "needs the scorings of MASS"
    )


@pytest.mark.data("sleepedf20_stager_outputs.npz")
def test_the_correction_of_a_real_network_gains(shared_data: Path, tmp_path: Path) -> None:
    done = run("sleepgpt", "correction", DATA=str(shared_data), OUT=str(tmp_path))
    assert done.returncode == 0, done.stderr
    table = told(tmp_path, "sleepgpt", "correction")
    paper, alone = table["stager alone", "accuracy"]
    assert paper == "not at hand"
    gain = float(table["corrected, generic denoiser", "accuracy"][1]) - float(alone)
    assert gain == pytest.approx(4.29, abs=0.05)
    greedy = float(table["corrected, the published rule (greedy)", "accuracy"][1]) - float(alone)
    assert greedy == pytest.approx(2.38, abs=0.05)


def test_what_was_not_run_is_told_as_such(tmp_path: Path) -> None:
    assert beside(find_table("wav2sleep", "signals"), tmp_path).count("not run") == 10


def test_results_of_another_command_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"kappa": 0.5}')
    row = Row("x", "accuracy", None, "results.json", ("scores", "accuracy"), "")
    with pytest.raises(ValueError, match="holds no scores / accuracy; delete it and run again"):
        reproduced(row, tmp_path)


def test_subsets_of_signals_come_into_the_table_by_cohort(tmp_path: Path) -> None:
    from evaluation.outputs import NightOutput, write_outputs
    from evaluation.reproduction import main

    labels = np.tile(np.arange(4, dtype=np.int8), 10)
    nights = [
        NightOutput(
            night=f"{cohort}/{n}",
            person=f"{cohort}{n}",
            labels=labels,
            stages=np.roll(labels, 1) if signals == "ECG" else labels,
            dataset=cohort,
            channels=signals,
            classes=("W", "L", "D", "R"),
        )
        for cohort in ("SHHS", "MESA")
        for n in range(3)
        for signals in ("ECG", "PPG", "THX ECG")
    ]
    source = write_outputs(tmp_path / "subsets.npz", nights)
    parts = [tmp_path / f"{cohort}.npz" for cohort in ("SHHS", "MESA", "Census")]
    for part in parts:
        only = ["--dataset", part.stem] if part.stem != "Census" else []
        assert main(["select", str(source), str(part), *only]) == 0
    judged = ["--predictions", *map(str, parts), "--out", str(tmp_path / "wav2sleep-judged")]
    assert main_evaluate.main(["staging", *judged]) == 0
    assert main(["table", "wav2sleep", "signals", "--out", str(tmp_path)]) == 0
    table = told(tmp_path, "wav2sleep", "signals")
    assert table["SHHS, ECG", "accuracy"] == ("82.3", "0.00")
    assert table["MESA, ECG and thorax", "kappa"] == ("78.3", "100.00")
    assert table["MESA, pulse wave", "kappa"][1] == "100.00"
    assert table["Census, ECG", "accuracy"] == ("84.8", "0.00")
