"""A stand-in for Ray with the few calls that a run over a cluster makes; works in this process.

Work that raises `Killed` stands for a worker that dies.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any


class Killed(BaseException):
    """A worker that dies."""


class RayError(Exception):
    """As `ray.exceptions.RayError`."""


class RayTaskError(RayError):
    """As `ray.exceptions.RayTaskError`: carries what the work raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("a long remote traceback")
        self.cause = cause


class WorkerCrashedError(RayError):
    """As `ray.exceptions.WorkerCrashedError`."""


class Task:
    """Work to be done on an item, when its result is asked for."""

    def __init__(self, function: Callable, work: bytes, item: Any) -> None:
        self.function, self.work, self.item = function, work, pickle.dumps(item)

    def run(self) -> Any:
        """Do it."""
        return self.function(pickle.loads(self.work), pickle.loads(self.item))


class FakeRay(ModuleType):
    """The module; `started` holds what `init` was given, `most` how many tasks waited at once."""

    def __init__(self, *, processors: int = 2) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.processors, self.most, self.running = processors, 0, 0
        self.started: dict[str, Any] | None = None

    def init(self, **options: Any) -> None:
        """Remember the options."""
        if options["address"] == "auto":
            raise ConnectionError("no running Ray\nmany more lines")
        self.started = options

    def shutdown(self) -> None:
        """Forget the options."""
        self.started = None

    def cluster_resources(self) -> dict[str, float]:
        """Tell the processors."""
        return {"CPU": float(self.processors)}

    def put(self, thing: Any) -> bytes:
        """Pickle, as what crosses machines must be."""
        return pickle.dumps(thing)

    def remote(self, **options: Any) -> Callable[[Callable], Any]:
        """Wrap a function so that `.remote` gives a task."""
        assert options == {"num_cpus": 1, "max_retries": 0}

        def submit(function: Callable) -> Any:
            def task(work: bytes, item: Any) -> Task:
                self.running += 1
                self.most = max(self.most, self.running)
                return Task(function, work, item)

            return SimpleNamespace(remote=task)

        return submit

    def wait(self, tasks: Sequence[Task], *, num_returns: int) -> tuple[list[Task], list[Task]]:
        """The last task is the first to be ready."""
        return list(tasks[-num_returns:]), list(tasks[:-num_returns])

    def get(self, task: Task) -> Any:
        """Do the work of a task."""
        self.running -= 1
        try:
            return task.run()
        except Killed:
            raise WorkerCrashedError("long advice about memory") from None
        except Exception as error:
            raise RayTaskError(error) from error
