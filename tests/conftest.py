"""What every test shares: one thread, fixed seeds, and the real material when it is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SHARED_DATA = Path(os.environ.get("SLEEP_SHARED_DATA", ROOT.parent / "shared" / "data"))


# The same examples in every run, so that a change is judged by itself; other examples are drawn
# with HYPOTHESIS_PROFILE=default.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_configure(config: pytest.Config) -> None:
    """One thread everywhere: tests run beside each other on small machines."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `data(name)` when the shared real material is not on this machine."""
    for mark in item.iter_markers("data"):
        if not (SHARED_DATA / mark.args[0]).exists():
            pytest.skip(f"real material {mark.args[0]!r} is not in {SHARED_DATA}")


@pytest.fixture
def shared_data() -> Path:
    """Folder of the real material; use together with `@pytest.mark.data(name)`."""
    return SHARED_DATA


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20)
