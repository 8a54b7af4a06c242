"""Jobs for worker processes, importable by them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

Tell = Callable[[str], None]


def double(x: int, *, step: Tell) -> int:
    """Return twice x, in two steps."""
    step("think")
    step("tell 1 of 1")
    return 2 * x


def refuse(*, step: Tell) -> None:
    """Refuse as a reader does."""
    raise ValueError("no such channel")


def stumble(*, step: Tell) -> None:
    """Fail as nobody foresaw."""
    raise KeyError("secret of the server")


def die(*, step: Tell) -> None:
    """End the process, as the system does when memory is short."""
    os._exit(9)


def sleep(*, step: Tell) -> None:
    """Take longer than anybody waits."""
    step("sleep")
    time.sleep(600)
