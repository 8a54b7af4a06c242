"""The model of docs/your_model.md is one file, is found by its name, and learns."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

import models
from models import StagerOutput

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_model.md"


@pytest.fixture
def name() -> Iterator[str]:
    """The model of the page, in the registry for the length of a test."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    module = sys.modules["models.page"] = ModuleType("models.page")
    exec(compile(source, str(PAGE), "exec"), module.__dict__)
    yield "band-power"
    models._MODELS.pop("band-power")
    sys.modules.pop("models.page")


def test_it_is_a_stager_of_the_registry(name: str) -> None:
    assert name in models.stagers()
    assert list(models.presets(name)) == ["paper"]


def test_absent_samples_cannot_change_its_output(name: str) -> None:
    stager = models.create(name)
    signals = {"C4": torch.randn(2, 3, 3000)}
    present = {"C4": torch.tensor([[True, True, False]] * 2)}
    first = stager(signals, present)
    signals["C4"][:, 2] = 1e6
    again = stager(signals, present)
    assert isinstance(first, StagerOutput)
    assert first.logits.shape == (2, 3, 5)
    assert torch.equal(first.logits, again.logits)
    assert first.logits.isfinite().all()
