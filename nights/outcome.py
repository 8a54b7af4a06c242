"""What became of each night of a long run: the table of refusals and the exit status."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nights.atomic import write_text


@dataclass(frozen=True)
class Refusal:
    """A night that gave no result: which, at what step, why, and where in the code."""

    night: str
    step: str
    reason: str
    trace: str


def read_refusals(file: Path) -> list[Refusal]:
    """Return the refusals of a finished run from its `failed.jsonl`; none without the file."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Refusal(**json.loads(line)) for line in lines if line.strip()]


class Step:
    """The step a night is at; a refusal names it."""

    def __init__(self) -> None:
        self.name = "open"

    def __call__(self, name: str) -> None:
        self.name = name


class Outcome:
    """Collects refusals, so that one bad night never costs the others.

    Parameters
    ----------
    file : Path
        `failed.jsonl`: one JSON object per refusal, rewritten whole at each one; an old file from
        an earlier run is replaced by `close`.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.refusals: list[Refusal] = []
        self.finished = 0

    @contextmanager
    def night(self, name: str) -> Iterator[Step]:
        """Run one night; an error becomes a row of the table and the run goes on.

        An error nobody foresaw is a row too, with its type and the place in the code, because the
        other nights of the folder must not be lost to it.
        """
        step = Step()
        try:
            yield step
            self.finished += 1
        except Exception as error:
            foreseen = isinstance(error, ValueError | OSError)
            reason = str(error) if foreseen else f"{type(error).__name__}: {error}"
            where = "".join(traceback.format_exception(error)[-3:])
            self.refusals.append(Refusal(name, step.name, " ".join(reason.split()), where))
            self._write()

    def close(self, *, skip_errors: bool = False) -> int:
        """Write the refusals and return the exit status: 0 only if every night succeeded."""
        self._write()
        return int(bool(self.refusals) and not skip_errors)

    def table(self) -> str:
        """Return the refusals as text, one row a night."""
        if not self.refusals:
            return ""
        width = max(len(refusal.night) for refusal in self.refusals)
        steps = max(len(refusal.step) for refusal in self.refusals)
        rows = [f"{r.night:<{width}}  {r.step:<{steps}}  {r.reason}" for r in self.refusals]
        return "\n".join([f"{len(rows)} refused:", *rows])

    def _write(self) -> None:
        """Write `failed.jsonl`, or an empty one where an earlier run left refusals."""
        if self.refusals or self.file.exists():
            lines = [json.dumps(asdict(refusal)) for refusal in self.refusals]
            write_text(self.file, "".join(f"{line}\n" for line in lines))
