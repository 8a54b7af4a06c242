"""Several processes that train one model together: started by `torchrun`, on one machine or many.

Alone, every function here answers as a single process does, so the loop asks nobody whether it is
alone. Everything passed between processes is numbers or JSON, never a pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

# The others wait while the first process judges a model on whole nights. A process that dies is
# noticed by torchrun, so that nothing is gained by a short patience.
PATIENCE = timedelta(hours=12)


@contextmanager
def processes(device: str = "auto") -> Iterator[torch.device]:
    """Join the processes that `torchrun` started, for the length of the block.

    Parameters
    ----------
    device : str
        `cpu`, `cuda`, or `auto`: cuda where there is one. Processes of one machine take its GPUs
        in turn.

    Yields
    ------
    device
        To train on, in this process. A script that `torchrun` did not start gets one too.

    Raises
    ------
    ValueError
        If cuda is asked for and there is none, or a machine has more processes than GPUs.
    """
    here = device_of(device)
    if "WORLD_SIZE" not in os.environ:
        yield here
        return
    # Rows and generator states always travel over the processors
    backend = "cpu:gloo,cuda:nccl" if here.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield here
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if _joined() else 0


def size() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if _joined() else 1


def is_first() -> bool:
    """Tell whether this is the process that judges, writes and reports."""
    return rank() == 0


def gather(value: Any) -> list[Any]:
    """Return the `value` of every process, in their order: anything that JSON can hold."""
    if size() == 1:
        return [value]
    text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    lengths = torch.zeros(size(), dtype=torch.int64)
    lengths[rank()] = len(text)
    dist.all_reduce(lengths)
    texts = [torch.empty(int(lengths.max()), dtype=torch.uint8) for _ in range(size())]
    texts[rank()][: len(text)] = text
    dist.all_gather(texts, texts[rank()].clone())
    return [json.loads(bytes(t[:n].tolist())) for t, n in zip(texts, lengths.tolist(), strict=True)]


def total(value: float) -> float:
    """Return the sum of `value` over all processes."""
    if size() == 1:
        return value
    summed = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(summed)
    return summed.item()


def spread(tensors: Iterable[torch.Tensor]) -> None:
    """Overwrite `tensors` by those of the first process."""
    if size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor.detach(), src=0)


def sum_gradients(model: nn.Module) -> None:
    """Replace the gradient of every parameter by its sum over all processes.

    A parameter that no process has used keeps no gradient, as it would in one process. One message
    holds all of them, behind a mark for each parameter that says who used it.
    """
    if size() == 1:
        return
    held = [parameter for parameter in model.parameters() if parameter.requires_grad]
    marks = [0.0 if parameter.grad is None else 1.0 for parameter in held]
    parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in held]
    flat = torch.cat([torch.tensor(marks, device=parts[0].device), *(g.flatten() for g in parts)])
    dist.all_reduce(flat)
    users, *sums = flat.split([len(held), *(parameter.numel() for parameter in held)])
    for parameter, n_users, gradient in zip(held, users.tolist(), sums, strict=True):
        parameter.grad = gradient.view_as(parameter) if n_users else None


def _joined() -> bool:
    """Tell whether this process is one of several."""
    return dist.is_available() and dist.is_initialized()


def device_of(wanted: str) -> torch.device:
    """Return the device of this process, and make it the one that CUDA means.

    Parameters
    ----------
    wanted : str
        `cpu`, `cuda`, or `auto`: cuda where there is one.

    Raises
    ------
    ValueError
        If cuda is asked for and there is none, or a machine has more processes than GPUs.
    """
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError("device cuda was asked for, but PyTorch finds no GPU here")
    number = int(os.environ.get("LOCAL_RANK", 0))
    if number >= torch.cuda.device_count():
        raise ValueError(
            f"process {number + 1} of this machine has no GPU of its own: there are "
            f"{torch.cuda.device_count()}; start no more with --nproc-per-node"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)
