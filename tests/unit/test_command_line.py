"""The command line made from a dataclass: flags, files of values, help, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from command_line import dump, parse


@dataclass(frozen=True)
class Config:
    """Stage recordings.

    A second paragraph with 50 % in it.
    """

    paths: tuple[Path, ...]  # recordings or folders of them
    out: Path = Path("runs/stage")  # results, 100 % of them
    rate_hz: float = 100.0  # sampling rate in Hz
    # runs over the data,
    # each in another order
    n_passes: int = 3
    decoder: Literal["greedy", "be#am"] = "be#am"  # how to decode
    device: Literal[
        "auto",
        "cpu",
    ] = "auto"  # where to compute
    channels: tuple[str, ...] = ()  # channels to use
    weights: tuple[float, ...] = (0.5, 1.0)  # weight of each
    merge_NT1: bool = False  # take both kinds of narcolepsy together
    seed: int | None = None  # seed of all draws
    # a banner, not the help of any field
    level: int = 1  # how far
    bare: str = ""

    def __post_init__(self) -> None:
        if self.n_passes < 1:
            raise ValueError(f"n_passes must be at least 1, found {self.n_passes}")


@dataclass(frozen=True)
class Child(Config):
    """Adds a field."""

    extra: int = 1  # one more


@dataclass(frozen=True)
class OneFile:
    """One file and a number, both wanted."""

    file: Path  # the file
    level: int  # a number


def test_defaults_stand_when_only_the_paths_are_given() -> None:
    assert parse(Config, ["a.edf", "b"]) == Config(paths=(Path("a.edf"), Path("b")))


def test_flags_take_the_types_of_their_fields() -> None:
    flags = "--out o --rate-hz 1e2 --n-passes 2 --decoder greedy --device cpu --seed 4 --merge-NT1"
    cfg = parse(Config, ["x", *flags.split(), "--channels", "C4", "E1"])
    assert cfg == Config(
        paths=(Path("x"),),
        out=Path("o"),
        n_passes=2,
        decoder="greedy",
        device="cpu",
        channels=("C4", "E1"),
        merge_NT1=True,
        seed=4,
    )
    assert isinstance(cfg.rate_hz, float)


def test_several_values_are_tuples_and_a_repeated_flag_adds() -> None:
    cfg = parse(Config, ["x", "--weights", "1", "2", "--weights", "3"])
    assert cfg.weights == (1.0, 2.0, 3.0)
    assert isinstance(cfg.paths, tuple)
    assert hash(cfg)


def test_published_flags_with_underscores_are_taken() -> None:
    assert parse(Config, ["x", "--merge_NT1", "--n_passes=2"]).merge_NT1
    assert parse(Config, ["x", "--n_passes=2"]).n_passes == 2


def test_underscores_in_values_stay() -> None:
    assert parse(Config, ["a_b", "--out=c_d"]).out == Path("c_d")


def test_a_path_that_looks_like_a_flag_stays_as_it_is_behind_two_dashes() -> None:
    assert parse(Config, ["--", "--a_b.edf"]).paths == (Path("--a_b.edf"),)


def test_a_switch_can_be_turned_off_again(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"merge_NT1": True}))
    assert parse(Config, ["x", "--config", str(file)]).merge_NT1
    assert not parse(Config, ["x", "--config", str(file), "--no-merge-NT1"]).merge_NT1


def test_flags_override_the_file_and_the_file_overrides_defaults(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"paths": ["f"], "n_passes": 7, "rate_hz": 64, "seed": None}))
    cfg = parse(Config, ["--config", str(file), "--n-passes", "9"])
    assert cfg == Config(paths=(Path("f"),), n_passes=9, rate_hz=64.0)
    assert isinstance(cfg.rate_hz, float)


def test_what_dump_writes_runs_again(tmp_path: Path) -> None:
    cfg = Config(paths=(Path("a"), Path("b")), weights=(0.25,), seed=3, device="cpu")
    file = tmp_path / "run" / "config.json"
    dump(cfg, file)
    assert parse(Config, ["--config", str(file)]) == cfg
    assert [path.name for path in file.parent.iterdir()] == ["config.json"]


def test_a_required_number_may_be_zero() -> None:
    assert parse(OneFile, ["f", "0"]) == OneFile(Path("f"), 0)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "nothing given for: paths"),
        (["x", "--n-passes", "two"], "invalid int value: 'two'"),
        (["x", "--decoder", "best"], "invalid choice: 'best'"),
        (["x", "--n-pass", "2"], "unrecognized arguments"),
        (["x", "--n-passes", "0"], "n_passes must be at least 1, found 0"),
        (["x", "--config", "nowhere.json"], "nowhere.json"),
    ],
)
def test_bad_command_lines_end_with_one_sentence_and_status_2(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(Config, argv)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["f"]])
def test_a_missing_single_value_is_asked_for(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(OneFile, argv)
    assert "nothing given for:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "one JSON object"),
        ('{"speed": 1}', "unknown speed; known: paths, out"),
        ('{"n_passes": 1.5}', "n_passes must be int, found 1.5"),
        ('{"n_passes": true}', "n_passes must be int, found True"),
        ('{"merge_NT1": 1}', "merge_NT1 must be bool, found 1"),
        ('{"channels": "C4"}', "channels must be a list, found 'C4'"),
        ('{"weights": [1, "a"]}', "weights must be float, found 'a'"),
        ('{"decoder": "best"}', "decoder = 'best' is none of"),
        ('{"out": null}', "out must be Path, found None"),
        ('{"paths": []}', "nothing given for: paths"),
    ],
)
def test_bad_files_are_refused_with_what_was_wanted(
    tmp_path: Path, content: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.json"
    file.write_text(content)
    argv = ["--config", str(file)] + ([] if "paths" in content else ["x"])
    with pytest.raises(SystemExit) as ended:
        parse(Config, argv)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def _help(config: type, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(config, ["--help"])
    assert ended.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_help_shows_comments_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(Config, capsys)
    for said in (
        "A second paragraph with 50 % in it.",
        "PATH recordings or folders of them",
        "results, 100 % of them [runs/stage]",
        "sampling rate in Hz [100.0]",
        "runs over the data, each in another order [3]",
        "how to decode [be#am]",
        "where to compute [auto]",
        "weight of each [0.5 1.0]",
        "seed of all draws",
    ):
        assert said in text
    assert "banner" not in text


def test_help_of_inherited_fields_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    text = _help(Child, capsys)
    assert "sampling rate in Hz [100.0]" in text
    assert "one more [1]" in text


def test_a_config_without_source_still_parses() -> None:
    typed = """
from dataclasses import dataclass
from command_line import parse
@dataclass(frozen=True)
class Config:
    'Typed at a prompt.'
    n: int = 1
print(parse(Config, ["--n", "5"]).n)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", typed], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "5"


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, command_line; print({'numpy', 'torch', 'pandas'} & set(sys.modules))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
