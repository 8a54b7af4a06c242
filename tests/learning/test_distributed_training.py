"""Processes and machines that train together make the steps of one process."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.checkpoint import load_state
from engine.optim import Plan
from tests.makers import small_run
from tests.makers.small_run import rows, run, started

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


def plan(**changes: int) -> Plan:
    """Two passes of 13 batches: of several processes, some have none in the last step."""
    return Plan(**{"n_passes": 2, "lr": 5e-3, "ema": 0.5, "save_every": 4, **changes})


def free_port() -> str:
    """Return a port nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return str(held.getsockname()[1])


def together(out: Path, asked: Plan, n_processes: int, **words: float) -> list[int | None]:
    """Train in several processes, as `torchrun` would start them; return their exit statuses."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    processes = [
        started(
            out,
            asked,
            environment=where | {"RANK": str(rank), "WORLD_SIZE": str(n_processes)},
            **(words if rank == 0 else {k: v for k, v in words.items() if k != "kill_at"}),
        )
        for rank in range(n_processes)
    ]
    for process in processes:
        process.join(timeout=120)
    return [process.exitcode for process in processes]


def assert_same_run(one: Path, other: Path) -> None:
    """Compare last gradients, weights and logs; sums may be rounded in another order."""
    ends = [load_state(out / "end.pt") for out in (one, other)]
    for kind in ("gradient", "weights"):
        assert ends[0][kind].keys() == ends[1][kind].keys()
        for name, tensor in ends[0][kind].items():
            torch.testing.assert_close(ends[1][kind][name], tensor, rtol=1e-9, atol=1e-12)
    for left, right in zip(rows(one), rows(other), strict=True):
        assert left == pytest.approx(right, rel=1e-9)


@pytest.mark.parametrize(("n_processes", "accumulate"), [(2, 1), (3, 2)])
def test_processes_make_the_steps_of_one_with_the_total_batch(
    tmp_path: Path, n_processes: int, accumulate: int
) -> None:
    run(tmp_path / "one", plan(accumulate=n_processes * accumulate))
    assert set(together(tmp_path / "all", plan(accumulate=accumulate), n_processes)) == {0}
    assert_same_run(tmp_path / "one", tmp_path / "all")


def test_processes_that_were_killed_go_on_as_if_they_had_not_been(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert set(together(whole, plan(), 2, dropout=0.1)) == {0}
    statuses = together(cut, plan(), 2, dropout=0.1, kill_at=11)
    assert statuses[0] == -signal.SIGKILL
    assert statuses[1] not in (0, None)  # it does not wait for the dead one
    assert set(together(cut, plan(), 2, dropout=0.1, resume=True)) == {0}
    assert rows(cut) == rows(whole)
    ends = [load_state(out / "end.pt")["weights"] for out in (whole, cut)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    with pytest.raises(ValueError, match="begun with 2 processes, found 1"):
        run(cut, plan(), resume=True)


def node_command(number: int, port: str) -> list[str]:
    """Return the two-machine command of docs/cluster.md for one machine, up to the script."""
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    (found,) = re.findall(r"^torchrun (--nnodes 2 .*?) main_train", text, re.MULTILINE | re.DOTALL)
    here = {"NUMBER": str(number), "FIRST_MACHINE": "127.0.0.1", "29500": port}
    here |= {"--nproc-per-node 4": "--nproc-per-node 1", "\\\n": " "}
    for word, value in here.items():
        assert word in found
        found = found.replace(word, value)
    return [*TORCHRUN, *found.split()]


def test_two_machines_train_together(tmp_path: Path) -> None:
    asked, port = {"n_passes": 1, "lr": 5e-3}, free_port()
    words = [small_run.__file__, str(tmp_path / "two"), json.dumps(asked)]
    nodes = [subprocess.Popen([*node_command(n, port), *words], cwd=ROOT) for n in (0, 1)]
    assert [node.wait(timeout=300) for node in nodes] == [0, 0]
    run(tmp_path / "one", Plan(**asked, accumulate=2))
    assert_same_run(tmp_path / "one", tmp_path / "two")
