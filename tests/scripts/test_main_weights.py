"""`main_weights.py` as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, cache: Path) -> subprocess.CompletedProcess:
    """Run the script with its cache in `cache`."""
    command = [sys.executable, str(ROOT / "main_weights.py"), *words]
    environment = os.environ | {"NIGHTSTACK_WEIGHTS": str(cache)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_list_shows_licences_and_what_is_here(tmp_path: Path) -> None:
    done = run("list", cache=tmp_path)
    assert done.returncode == 0
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("sleepgpt-open "))
    assert "in the tree" in line
    assert "CC-BY-NC-4.0" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fetch",), "'fetch' is none of list, get, verify, convert"),
        (("get",), "name the weights"),
        (("convert", "a", "--source", "b"), "--source goes with `get`"),
    ],
)
def test_a_wrong_command_is_one_line_and_status_two(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = run(*words, cache=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_one_refusal_does_not_stop_the_others(tmp_path: Path) -> None:
    done = run("convert", "lpsgm-block4", "nothing", "sleepgpt-open", cache=tmp_path)
    assert done.returncode == 1
    assert "lies on a shared drive" in done.stdout
    assert "no weights 'nothing'" in done.stdout
    assert "sleepgpt-open.safetensors" in done.stdout


def test_verify_fails_on_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "sleepgpt-shhs-60.pth.tar").write_bytes(b"half a file")
    done = run("verify", cache=tmp_path)
    assert done.returncode == 1
    assert "has 11 bytes, the published file 1119245" in done.stdout
    assert "sleepgpt-open: good" in done.stdout


@pytest.mark.data("upstream_weights/sleepgpt")
def test_a_file_carried_by_hand_is_taken_and_converted(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "upstream_weights/sleepgpt/output/gpt_shhs_pretrained"
    source = (folder / "60_48_3_6.pth.tar").as_uri()
    assert run("get", "sleepgpt-shhs-60", "--source", source, cache=tmp_path).returncode == 0
    done = run("convert", "sleepgpt-shhs-60", cache=tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "sleepgpt-shhs-60.safetensors").exists()
