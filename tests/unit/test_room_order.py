"""Imports only point to rooms listed above the importer (DESIGN, section 2)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "nights",
    "recordings",
    "preprocess",
    "models",
    "evaluation",
    "engine",
    "staging",
    "explain",
    "web",
)
ANYWHERE = "command_line"  # the one module outside the rooms: a Config becomes a command line
ENTRIES = tuple(sorted(p.stem for p in ROOT.glob("main_*.py"))) + ("app",)


def allowed(room: str) -> set[str]:
    """Return the modules of the house that a file of `room` may import."""
    if room == "models":  # a foundation: knows no night, no file, no training
        return {"models"}
    if room in ENTRIES:
        return {*ROOMS, ANYWHERE}
    return {*ROOMS[: ROOMS.index(room) + 1], ANYWHERE}


def imported(file: Path) -> set[str]:
    """Return the top-level names of everything `file` imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def house() -> list[Path]:
    """Return every Python file of the rooms and every entry point."""
    rooms = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
    return rooms + [ROOT / f"{entry}.py" for entry in ENTRIES if (ROOT / f"{entry}.py").exists()]


@pytest.mark.parametrize("file", house(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_only_to_rooms_above(file: Path) -> None:
    relative = file.relative_to(ROOT)
    room = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    ours = {*ROOMS, *ENTRIES, ANYWHERE, "tests", "benchmarks"}
    assert imported(file) & ours <= allowed(room)


def test_the_order_is_that_of_the_design() -> None:
    assert allowed("recordings") == {"nights", "recordings", ANYWHERE}
    assert "staging" not in allowed("evaluation")
    assert allowed("models") == {"models"}
