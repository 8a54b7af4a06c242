"""Nights over the machines of a Ray cluster: the same contract as `preprocess.recipe.workers.each`.

    python main_preprocess.py run SHHS --raw /shared/shhs --out /shared/data --ray auto
    python main_preprocess.py run SHHS --raw /raw/shhs --out data --ray local --workers 4

Every machine reaches the raw folder, the output and this folder of programs under the same paths.
A worker that dies, or its machine, costs a retry of the night it had in hand and of no other.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from preprocess.recipe.workers import ONE_THREAD, WorkerLost

Item = TypeVar("Item")
Done = TypeVar("Done")

_PROGRAMS = Path(__file__).resolve().parents[2]
_ATTEMPTS = 2
_STORE_BYTES = 80 << 20  # results are a few names each; Ray's own default is 30 % of the memory


def each(
    work: Callable[[Item], Done], items: Sequence[Item], n_workers: int, *, address: str
) -> Iterator[tuple[Item, Done | WorkerLost]]:
    """Yield (item, work(item)) for every item, as they are finished.

    Parameters
    ----------
    work : callable
        Importable on every machine; an error it raises ends the run.
    items : sequence
    n_workers : int
        Nights at once, a processor each; 0 takes every processor of the cluster, also of machines
        that join later.
    address : str
        `local` starts Ray on this machine, `auto` finds the cluster this machine belongs to,
        anything else is the address of a cluster.

    Yields
    ------
    tuple
        The item, and its result or a `WorkerLost`.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ValueError
        If there is no cluster at the address.
    """
    with _cluster(address, n_workers) as ray:
        call = ray.remote(num_cpus=1, max_retries=0)(_call)
        shared, todo, lost = ray.put(work), list(reversed(range(len(items)))), Counter[int]()
        running: dict[Any, int] = {}  # places in `items`
        while todo or running:
            while todo and len(running) < (n_workers or _processors(ray)):
                place = todo.pop()
                running[call.remote(shared, items[place])] = place
            for ready in ray.wait(list(running), num_returns=1)[0]:
                place, result = running.pop(ready), _result(ray, ready)
                lost[place] += isinstance(result, WorkerLost)
                if isinstance(result, WorkerLost) and lost[place] < _ATTEMPTS:
                    todo.insert(0, place)  # last: what it died of may have passed by then
                else:
                    yield items[place], result


def _call(work: Callable[[Item], Done], item: Item) -> Done:
    """Do the work on one item; this is what a worker runs."""
    return work(item)


def _processors(ray: Any) -> int:
    """Return how many processors the cluster has now."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _result(ray: Any, ready: Any) -> Any:
    """Return a result; an error of the work is raised as it was, a lost worker is returned."""
    try:
        return ray.get(ready)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = type(error).__name__
        return WorkerLost(f"its worker was lost {_ATTEMPTS} times ({reason}); is there memory?")


@contextmanager
def _cluster(address: str, n_workers: int) -> Iterator[Any]:
    """Join a cluster, or start one on this machine, while the block runs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tells nobody about runs on patients
    try:
        import ray
    except ImportError:
        raise ImportError("--ray needs Ray: pip install -r requirements-cluster.txt") from None
    _check_answer(address)
    local: dict[str, Any] = {}
    if address == "local":
        local = {"object_store_memory": _STORE_BYTES, "include_dashboard": False}
        local |= {"num_cpus": n_workers} if n_workers else {}
    paths = [str(_PROGRAMS), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**dict.fromkeys(ONE_THREAD, "1"), "PYTHONPATH": os.pathsep.join(paths)}
    try:
        ray.init(
            address=address,
            runtime_env={"env_vars": variables},
            logging_level=logging.ERROR,
            log_to_driver=False,
            **local,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"--ray {address}: no cluster there ({reason})") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answer(address: str) -> None:
    """Refuse an address at which nothing answers; Ray itself would try for minutes."""
    host = re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address)
    if not host:
        return
    try:
        socket.create_connection((host[1], int(host[2])), timeout=5).close()
    except OSError as error:
        raise ValueError(f"--ray {address}: no cluster there ({error})") from None
