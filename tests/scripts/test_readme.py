"""What the README and the pages of docs/ tell people to type exists and works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

from recordings.simulate import simulate_night

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(page.read_text(encoding="utf-8") for page in sorted(ROOT.glob("docs/*.md")))]
BLOCKS = [
    block for page in PAGES for block in re.findall(r"```(?:bash|sh)?\n(.*?)```", page, re.DOTALL)
]
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = sorted({re.split(r"\s+(?:#|&&|\|) ?", line.strip())[0] for line in LINES})
# Not the lines of a scheduler's script.
TYPED = r"(?:python|torchrun)\b[^$]*\b(?:main_\w+|app)\.py[^$]*$"
ENTRIES = sorted(path.stem for path in (*ROOT.glob("main_*.py"), ROOT / "app.py"))


@pytest.mark.parametrize("command", [c for c in COMMANDS if re.match(TYPED, c)])
def test_flags_told_are_known(command: str) -> None:
    from command_line import parse

    script, _, rest = re.sub(r"^.*?\b(?=main_|app\.)", "", command).partition(" ")
    module, arguments = import_module(Path(script).stem), shlex.split(rest)
    if hasattr(module, "COMMANDS"):
        config, _ = module.COMMANDS[arguments.pop(0)]
    else:
        (config,) = [kind for name, kind in get_type_hints(module.main).items() if name == "cfg"]
    parse(config, arguments)


@pytest.mark.parametrize("command", [c for c in COMMANDS if re.match(r"bash \w+\.sh \w", c)])
def test_steps_told_of_the_recipes_are_there(command: str) -> None:
    script, step, *more = shlex.split(command)[1:]
    if script == "reproduce.sh":
        step = f'"{step} {more[0]}"'
    recipe = (ROOT / script).read_text(encoding="utf-8")
    if "case " in recipe and "." not in step and not step.startswith("-"):
        assert re.search(rf"^(?:.*\| )?{re.escape(step)}(?: \|.*)?\)$", recipe, re.MULTILINE)


@pytest.mark.parametrize(
    "path", re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|sh|md|cff|txt))`", README)
)
def test_files_named_in_the_readme_exist(path: str) -> None:
    made_by_a_run = {"hypnogram.txt"}
    assert (ROOT / path).exists() or path in made_by_a_run


def test_pictures_of_the_readme_exist() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).stat().st_size > 10_000


@pytest.mark.parametrize("module", sorted(set(re.findall(r"benchmarks[./](\w+)", "".join(PAGES)))))
def test_benchmarks_told_exist(module: str) -> None:
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
