"""What the README tells people to type exists and works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from recordings.simulate import simulate_night

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]
ENTRIES = sorted(path.stem for path in ROOT.glob("main_*.py"))


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python main_")])
def test_flags_in_the_readme_are_known(command: str) -> None:
    from command_line import parse

    script, *arguments = shlex.split(command)[1:]
    module = import_module(Path(script).stem)
    if hasattr(module, "Config"):
        parse(module.Config, arguments)
    else:
        config, _ = module.COMMANDS[arguments[0]]
        parse(config, arguments[1:])


@pytest.mark.parametrize(
    "path", re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|sh|md|cff|txt))`", README)
)
def test_files_named_in_the_readme_exist(path: str) -> None:
    made_by_a_run = {"hypnogram.txt"}
    assert (ROOT / path).exists() or path in made_by_a_run


def test_pictures_of_the_readme_exist() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).stat().st_size > 10_000


@pytest.mark.parametrize("module", sorted(set(re.findall(r"benchmarks[./](\w+)", README))))
def test_benchmarks_of_the_readme_exist(module: str) -> None:
    assert (ROOT / "benchmarks" / f"{module}.py").exists()


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_answers_at_once(entry: str) -> None:
    command = [sys.executable, "-X", "importtime", ROOT / f"{entry}.py", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "usage:" in done.stdout or "commands:" in done.stdout
    heavy = {"torch", "pandas", "matplotlib", "scipy.signal", "mne", "sklearn"}
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not heavy & loaded  # each takes most of half a second


def test_the_demo_stages_a_recording(tmp_path: Path) -> None:
    if not list(Path(sys.prefix).glob("installed-*")):
        pytest.skip("the environment was not made by test.sh, so demo.sh would install another")
    night = tmp_path / "night.edf"
    simulate_night(1, hours=0.2, montage="sleepedf").write(night)
    done = subprocess.run(
        ["bash", str(ROOT / "demo.sh"), str(night), "--no-correction"],
        env=os.environ | {"OUT": str(tmp_path / "out"), "VENV": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Look at" in done.stdout
    assert (tmp_path / "out" / "night" / "report.html").exists()
