"""The model of docs/your_model.md is one file, is found by its name, and learns."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from types import ModuleType

import pytest
import torch

import models
from tests.contract import test_models

CONTRACT = [
    promise
    for name, promise in vars(test_models).items()
    if name.startswith("test_") and list(signature(promise).parameters) == ["stager"]
]
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


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_it_keeps_the_contract_of_every_stager(
    name: str, promise: Callable[[torch.nn.Module], None]
) -> None:
    torch.manual_seed(1)
    promise(models.create(name).eval())
