"""Every parity fixture: our models against numbers that the original implementations returned.

All fixtures of the folder PARITY_FIXTURES (default `tests/fixtures`) are run. The runner is chosen
by the content of a fixture's JSON, so fixtures of other sizes, seeds or masks need no edit here.
"""

from __future__ import annotations

import fnmatch
import importlib
import json
import os
import pkgutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.parity import runners
from tests.parity.recipes import Arrays, Meta, input_names

FOLDER = Path(os.environ.get("PARITY_FIXTURES", Path(__file__).parents[1] / "fixtures"))
FIXTURES = sorted(path for path in FOLDER.glob("*.json") if path.with_suffix(".npz").exists())
RUNNERS = [
    importlib.import_module(f"{runners.__name__}.{found.name}")
    for found in pkgutil.iter_modules(runners.__path__)
]


def test_the_folder_of_fixtures_is_not_empty() -> None:
    assert FIXTURES, f"no fixture in {FOLDER}"


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_outputs_equal_the_original(path: Path) -> None:
    meta = json.loads(path.read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
        arrays = dict(file)
    ours = runner_for(meta, path.stem).run(meta, dict(arrays))
    failures = differences(meta, arrays, ours)
    assert not failures, "\n".join(failures)


def runner_for(meta: Meta, name: str) -> ModuleType:
    """Return the one runner that knows this fixture; an unknown fixture is a failure."""
    known = [runner for runner in RUNNERS if runner.matches(meta)]
    if len(known) != 1:
        pytest.fail(f"{name}: {len(known)} runners for model {meta.get('model')!r}, want one")
    return known[0]


def differences(meta: Meta, arrays: Arrays, ours: Arrays) -> list[str]:
    """Return one line for each output that is missing, of another shape, or too far away."""
    skipped = meta["compare"].get("skip", {})
    wanted = {
        name
        for name in set(arrays) - input_names(meta, arrays)
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in skipped)
    }
    lines = [f"{name}: not computed" for name in sorted(wanted - set(ours))]
    for name in sorted(set(ours) - set(arrays) | (wanted & set(ours))):
        reference = arrays[name] if name in arrays else in_json(meta, name)
        lines += difference(name, np.asarray(reference), np.asarray(ours[name]), meta["compare"])
    return lines


def difference(name: str, reference: np.ndarray, ours: np.ndarray, compare: Meta) -> list[str]:
    """Compare one output; where `only` restricts it, NaN in ours marks what is not compared."""
    if ours.shape != reference.shape:
        return [f"{name}: shape {ours.shape}, the original has {reference.shape}"]
    if reference.dtype.kind not in "fc":
        unequal = int((ours != reference).sum())
        return [f"{name}: {unequal} of {reference.size} numbers differ"] if unequal else []
    if name in compare.get("only", {}):
        reference, ours = reference[~np.isnan(ours)], ours[~np.isnan(ours)]
        if not ours.size:
            return [f"{name}: nothing left to compare"]
    allowed = allowance(name, reference, compare)
    same = (reference == ours) | (np.isnan(reference) & np.isnan(ours))
    apart = np.where(same, 0.0, np.abs(ours.astype(np.float64) - reference))
    worst = np.max(apart, initial=0.0)  # NaN on one side only stays NaN and fails
    return [] if worst <= allowed else [f"{name}: differs by {worst:.3g}, allowed {allowed:.3g}"]


def allowance(name: str, reference: np.ndarray, compare: Meta) -> float:
    """Return tol * scale of one output; the first matching pattern of `per_output` overrides."""
    rule = {"tol": compare["tol"], "scale": compare["scale"]}
    for pattern, own in compare.get("per_output", {}).items():
        if fnmatch.fnmatchcase(name, pattern):
            rule |= own
            break
    largest = float(np.nanmax(np.abs(reference), initial=0.0))
    return (
        rule["tol"]
        * {"max(1,ref)": max(1.0, largest), "ref": largest, "absolute": 1.0}[rule["scale"]]
    )


def in_json(meta: Meta, path: str) -> Any:
    """Return a number that stands in the JSON itself, at `key/key/...`."""
    value: Any = meta
    for key in path.split("/"):
        assert key in value, f"{path}: computed, but the fixture has no such output"
        value = value[key]
    return value
