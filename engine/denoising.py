"""Training of the denoiser: nights with what a stager said of them and what was scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from engine.tasks import IGNORED
from nights.sequences import stretches
from nights.stages import UNSCORED

NOTHING = float(np.log(0.2))  # log-probability of each stage for who says nothing
WINDOW, MARGIN = 256, 64  # epochs read at once, and those at its edges that only give context


@dataclass(frozen=True, eq=False)
class JudgedNight:
    """One night as stagers saw it and as it was scored.

    Parameters
    ----------
    night, person : str
        Whose night it is; a person is never on both sides of a fit.
    evidence : float32 array (E, S, 5)
        Log-probabilities of S stagers; NaN where a stager said nothing.
    stages : int8 array (E,)
        The scoring, -1 where nobody scored.
    """

    night: str
    person: str
    evidence: np.ndarray
    stages: np.ndarray

    def __post_init__(self) -> None:
        if self.evidence.shape[:1] != self.stages.shape or self.evidence.ndim != 3:
            raise ValueError(
                f"night {self.night!r}: outputs of shape {self.evidence.shape} for "
                f"{len(self.stages)} scored epochs, wanted (epochs, stagers, 5)"
            )

    @property
    def stretches(self) -> list[slice]:
        """Runs of epochs about which every stager said something."""
        return stretches(np.isfinite(self.evidence).all(axis=(1, 2)))


@dataclass(frozen=True)
class JudgedBlocks:
    """Blocks of consecutive epochs: evidence (B, T, S, 5) and stages int64 (B, T)."""

    evidence: torch.Tensor
    stages: torch.Tensor
    nights: tuple[str, ...]


class JudgedSource:
    """Blocks cut at random places from nights, none across a gap.

    Parameters
    ----------
    nights : sequence of JudgedNight
    length : int
        Epochs per block; a shorter stretch is padded at its end.
    batch_size, n_batches : int
        Blocks per batch, batches per pass.
    silenced : float
        Share of the epochs about which a stager is made to say nothing, drawn anew each time. What
        is around must tell then: a fit to few people does not learn them by heart.

    Raises
    ------
    ValueError
        If no night has an epoch that is both staged and scored.
    """

    def __init__(
        self,
        nights: Sequence[JudgedNight],
        *,
        length: int,
        batch_size: int,
        n_batches: int,
        silenced: float = 0.0,
    ) -> None:
        self.length, self.batch_size, self.n_batches = length, batch_size, n_batches
        self.silenced = silenced
        self._pieces = [
            (night.night, night.evidence[piece], night.stages[piece].astype(np.int64))
            for night in nights
            for piece in night.stretches
            if (night.stages[piece] != UNSCORED).any()
        ]
        if not self._pieces:
            raise ValueError("no night is both staged and scored: nothing to learn from")
        self._share = torch.tensor(
            [len(stages) for _, _, stages in self._pieces], dtype=torch.float64
        )

    def __len__(self) -> int:
        return self.n_batches

    def draw(self, generator: torch.Generator) -> Iterator[JudgedBlocks]:
        """Yield the batches of one pass; long stretches are drawn more often."""
        for _ in range(self.n_batches):
            drawn = torch.multinomial(self._share, self.batch_size, True, generator=generator)
            yield self._batch(drawn.tolist(), generator)

    def _batch(self, drawn: Sequence[int], generator: torch.Generator) -> JudgedBlocks:
        """Cut one block from each of the pieces `drawn`."""
        n_stagers = self._pieces[0][1].shape[1]
        evidence = np.full((len(drawn), self.length, n_stagers, 5), NOTHING, np.float32)
        stages = np.full((len(drawn), self.length), IGNORED)
        for row, piece in enumerate(drawn):
            _, said, scored = self._pieces[piece]
            n_places = max(1, len(scored) - self.length + 1)
            first = int(torch.randint(n_places, (1,), generator=generator))
            block = scored[first : first + self.length]
            evidence[row, : len(block)] = said[first : first + self.length]
            stages[row, : len(block)] = np.where(block == UNSCORED, IGNORED, block)
        if self.silenced:
            hushed = torch.rand(evidence.shape[:3], generator=generator) < self.silenced
            evidence[hushed.numpy()] = NOTHING
        names = tuple(sorted({self._pieces[piece][0] for piece in drawn}))
        return JudgedBlocks(torch.from_numpy(evidence), torch.from_numpy(stages), names)


class DenoisingTask:
    """Say what the scorer said, at every epoch of a block."""

    headline: ClassVar[str] = "nll"
    higher_is_better: ClassVar[bool] = False

    def loss(self, model: nn.Module, batch: JudgedBlocks) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean cross-entropy in nats per epoch."""
        device = next(model.parameters()).device
        logits = model(batch.evidence.to(device)).flatten(0, 1)
        stages = batch.stages.to(device).flatten()
        loss = F.cross_entropy(logits, stages, ignore_index=IGNORED)
        return loss, {"loss": loss.item()}

    def evaluate(self, model: Any, held_out: Sequence[JudgedNight]) -> dict[str, float]:
        """Return nats per scored epoch and accuracy on whole nights."""
        nats, right, n_epochs = 0.0, 0, 0
        for night in held_out:
            told = denoised_log_probs(model, night.evidence)
            known = (night.stages != UNSCORED) & np.isfinite(told).all(axis=1)
            stages, rows = night.stages[known], told[known]
            nats -= float(rows[np.arange(len(rows)), stages].sum())
            right += int((rows.argmax(axis=1) == stages).sum())
            n_epochs += len(rows)
        return {"nll": nats / n_epochs, "accuracy": right / n_epochs}


@torch.inference_mode()
def denoised_log_probs(model: nn.Module, evidence: np.ndarray) -> np.ndarray:
    """Return log-probabilities, float32 (E, 5), for evidence (E, S, 5); NaN where there is none."""
    model.eval()
    told = np.full((len(evidence), evidence.shape[2]), np.nan, dtype=np.float32)
    device = next(model.parameters()).device
    for piece in stretches(np.isfinite(evidence).all(axis=(1, 2))):
        said = torch.from_numpy(evidence[piece]).to(device)
        told[piece] = _read(model, said).log_softmax(dim=-1).cpu().numpy()
    return told


def _read(model: nn.Module, said: torch.Tensor) -> torch.Tensor:
    """Return the logits (n, 5) of one stretch (n, S, 5), a long one in windows side by side.

    A recurrent network takes its time per step, hardly per row. Every epoch but those near the ends
    of the stretch is read with at least as much on each side as half a block of the training.
    """
    n, kept = len(said), WINDOW - 2 * MARGIN
    if n <= WINDOW:
        return model(said[None])[0]
    first = torch.arange(0, n - WINDOW + kept, kept).clamp(max=n - WINDOW)
    windows = said.unfold(0, WINDOW, 1)[first].movedim(-1, 1)  # (windows, WINDOW, S, 5)
    logits = model(windows)
    whole = torch.empty(n, logits.shape[-1], device=said.device)
    for start, window in zip(first.tolist(), logits, strict=True):
        inner = MARGIN if start else 0  # the last window overwrites what it knows better
        whole[start + inner : start + WINDOW] = window[inner:]
    return whole
