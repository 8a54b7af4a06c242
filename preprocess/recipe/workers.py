"""Nights over processes: each has a thread of its own for arithmetic, and may be lost.

A worker that dies (out of memory, most of all) costs a retry of the nights under way; a night whose
worker dies a second time, alone, is given up and named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class WorkerLost(RuntimeError):
    """The process that had the night in hand died, twice."""


def each(
    work: Callable[[Item], Done], items: Sequence[Item], n_workers: int
) -> Iterator[tuple[Item, Done | WorkerLost]]:
    """Yield (item, work(item)) for every item, as they are finished.

    Parameters
    ----------
    work : callable
        Importable, so that a fresh process can call it; an error it raises ends the run.
    items : sequence
    n_workers : int
        Processes; 0 works in this one, in order.

    Yields
    ------
    tuple
        The item, and its result or a `WorkerLost`.
    """
    if not n_workers:
        yield from ((item, work(item)) for item in items)
        return
    with _one_thread():
        suspects: list[Item] = []
        todo = list(reversed(items))
        while todo:
            yield from _until_broken(work, todo, suspects, n_workers)
        for item in suspects:
            yield item, _alone(work, item)


def _until_broken(
    work: Callable[[Item], Done], todo: list[Item], suspects: list[Item], n_workers: int
) -> Iterator[tuple[Item, Done]]:
    """Work off `todo` from its end; when a worker dies, put what was under way on `suspects`."""
    running: dict[Future[Done], Item] = {}
    with _pool(n_workers) as pool:
        try:
            while todo or running:
                while todo and len(running) < n_workers:
                    running[pool.submit(work, todo[-1])] = todo[-1]
                    todo.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            suspects += running.values()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _alone(work: Callable[[Item], Done], item: Item) -> Done | WorkerLost:
    """Work on one item in a process of its own."""
    with _pool(1) as pool:
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool:
            return WorkerLost("its worker process died twice; is there enough memory?")


def _pool(n_workers: int) -> ProcessPoolExecutor:
    """Start fresh processes, which hold no file or lock of this one."""
    context = get_context("spawn")
    return ProcessPoolExecutor(n_workers, mp_context=context, initializer=_die_with_parent)


def _die_with_parent() -> None:
    """End this worker when the run is killed; it would wait for work for ever."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes started in this block use one thread each: libraries read this at import."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ |= dict.fromkeys(ONE_THREAD, "1")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
