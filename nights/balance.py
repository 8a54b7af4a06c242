"""Which windows make up a pass when data sets differ in size.

Of LPSGM's windows 68 % come from three of its thirty cohorts. A balance between 0 (every window
counts alike, as published) and 1 (every data set counts alike) draws from data set d in proportion
to its number of windows to the power of 1 - balance.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def drawn_order(
    labels: Sequence[str],
    n: int,
    generator: torch.Generator,
    *,
    balance: float = 0.0,
) -> torch.Tensor:
    """Return indices of `n` windows in random order, the data sets balanced.

    Parameters
    ----------
    labels : sequence of str
        Data set of every window there is.
    n : int
        Windows wanted; a window comes again only when all of its data set have been taken.
    generator : torch.Generator
        Where the order comes from.
    balance : float
        0 to 1.

    Returns
    -------
    int64 tensor (n,)

    Raises
    ------
    ValueError
        If there are no windows, or the balance lies outside 0 to 1.
    """
    if not labels:
        raise ValueError("there is no window to draw from")
    if not 0 <= balance <= 1:
        raise ValueError(f"balance must lie between 0 and 1, found {balance}")
    code = {name: number for number, name in enumerate(sorted(set(labels)))}
    group = torch.tensor([code[name] if balance else 0 for name in labels])
    wanted = quotas(group.bincount().tolist(), n, balance)
    parts = [
        _repeated((group == number).nonzero().flatten(), share, generator)
        for number, share in enumerate(wanted)
    ]
    chosen = torch.cat(parts)
    return chosen[torch.randperm(len(chosen), generator=generator)]


def quotas(counts: Sequence[int], n: int, balance: float) -> list[int]:
    """Divide `n` among data sets of `counts` windows, to within one of their exact shares."""
    weights = [count ** (1 - balance) if count else 0.0 for count in counts]
    exact = [n * weight / sum(weights) for weight in weights]
    whole = [int(share) for share in exact]
    nearest = sorted(range(len(counts)), key=lambda d: (whole[d] - exact[d], d))
    for number in nearest[: n - sum(whole)]:
        whole[number] += 1
    return whole


def _repeated(indices: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """Return `n` of the indices at random, each as often as every other to within one."""
    if not n:
        return indices[:0]
    rounds = [
        indices[torch.randperm(len(indices), generator=generator)]
        for _ in range(-(-n // len(indices)))
    ]
    return torch.cat(rounds)[:n]
