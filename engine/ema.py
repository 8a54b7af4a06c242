"""The running average of weights, which often judges better than the weights of the last step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class RunningAverage:
    """Exponential moving average of a model: average = decay * average + (1 - decay) * weights.

    Parameters
    ----------
    model : Module
        Its floating tensors are averaged, running statistics of norms among them; counters and
        other whole numbers are copied.
    decay : float
        Per step; 0 = nothing is averaged.
    start : int
        Step at which the average begins, from the weights of that step.
    """

    def __init__(self, model: nn.Module, decay: float, start: int = 0) -> None:
        self.model, self.decay, self.start = model, decay, start
        self.tensors: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as they are after `step` steps."""
        if not self.decay or step < self.start:
            return
        weights = self.model.state_dict()
        if not self.tensors:
            self.tensors = {name: weight.clone() for name, weight in weights.items()}
            return
        for name, average in self.tensors.items():
            if average.is_floating_point():
                average.lerp_(weights[name], 1 - self.decay)
            else:
                average.copy_(weights[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the model hold the average for the length of the block."""
        if not self.tensors:
            yield
            return
        kept = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        self.model.load_state_dict(self.tensors)
        try:
            yield
        finally:
            self.model.load_state_dict(kept)

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up an average that was kept as `tensors`."""
        weights = self.model.state_dict()
        self.tensors = {name: t.to(weights[name].device) for name, t in tensors.items()}
