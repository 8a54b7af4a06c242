"""Learning without labels: predict what was hidden, and know an epoch again by half of it.

One task for NeuroNet (a modality) and SynthSleepNet (several): the models say what they predicted
and which embeddings belong together, see `models.masked_tokens.MaskedOutput`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from evaluation.metrics import confusion, metrics_from
from models.masked_tokens import MaskedOutput
from nights.stages import STAGES, UNSCORED
from nights.windows import Windows

RIDGE = 1.0  # of the probe, on features of variance 1


def similarities(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return cosines over temperature between all rows of both (n, D), as (2n, 2n); own -inf."""
    rows = F.normalize(torch.cat([first, second]).float())
    scores = rows @ rows.T / temperature
    return scores.fill_diagonal_(-torch.inf)


def nt_xent(
    first: torch.Tensor, second: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the normalised temperature-scaled cross-entropy, and the share of partners found.

    Row i of `first` and row i of `second`, both (n, D), are of the same epoch; every other row is
    of another (Chen et al., "SimCLR", ICML 2020, equation 1). One matrix product: the published
    form spreads out tensors of (2n, 2n, D), 512 MB each at 256 epochs.
    """
    scores = similarities(first, second, temperature)
    partner = torch.arange(len(scores), device=scores.device).roll(len(first))
    return F.cross_entropy(scores, partner), (scores.argmax(dim=1) == partner).float().mean()


@dataclass(frozen=True)
class PretrainingTask:
    """Masked prediction and contrast.

    Parameters
    ----------
    mask_ratio : float
        Share of frames hidden: 0.8 for one modality, 0.4 for several (both published).
    temperature : float
        Of the contrast: 0.05 for one modality, 0.1 for several (both published).
    alpha : float
        Weight of the contrast.
    detach_target : bool
        Hold the predicted features fixed; the published networks let gradients into them.
    labelled : iterable of Windows, optional
        Scored nights, other than the held-out ones, to fit a linear probe on after each pass.
    seed : int
        Of the maskings of held-out nights: the same in every pass.
    """

    mask_ratio: float = 0.8
    temperature: float = 0.05
    alpha: float = 1.0
    detach_target: bool = False
    labelled: Iterable[Windows] | None = None
    seed: int = 0
    headline: ClassVar[str] = "held_out_loss"
    higher_is_better: ClassVar[bool] = False

    def loss(self, model: nn.Module, batch: Windows) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the sum of both losses; maskings come from the global generator of PyTorch."""
        output = model(*_on(model, batch), mask_ratio=self.mask_ratio)
        return self.losses(output)

    def losses(self, output: MaskedOutput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the total loss of what a model gave, and its parts."""
        errors = [
            F.mse_loss(guess.float(), (wanted.detach() if self.detach_target else wanted).float())
            for guess, wanted in output.predicted
        ]
        found = [nt_xent(*pair, self.temperature) for pair in output.views]
        reconstruction = torch.stack(errors).sum()
        total, parts = reconstruction, {"reconstruction": reconstruction.item()}
        if found:  # a batch with one epoch of each channel has nothing to be told apart from
            contrast, right = (torch.stack(part).mean() for part in zip(*found, strict=True))
            total = total + self.alpha * contrast
            parts |= {"contrastive": contrast.item(), "contrastive_accuracy": right.item()}
        return total, {"loss": total.item(), **parts}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, held_out: Iterable[Windows]) -> dict[str, float]:
        """Return the same losses on held-out batches, and what the probe reads off embeddings."""
        model.eval()
        draw = partial(torch.rand, generator=torch.Generator().manual_seed(self.seed))
        rows = []
        for batch in held_out:
            output = model(*_on(model, batch), mask_ratio=self.mask_ratio, draw=draw)
            rows.append(self.losses(output)[1])
        if not rows:
            raise ValueError("no held-out window to judge the pre-training on")
        names = {name for row in rows for name in row}
        told = {
            f"held_out_{name}": sum(row.get(name, 0.0) for row in rows) / len(rows)
            for name in sorted(names)
        }
        return told | (self._probed(model, held_out) if self.labelled is not None else {})

    def _probed(self, model: nn.Module, held_out: Iterable[Windows]) -> dict[str, float]:
        """Fit a linear probe on the labelled nights and score it on the held-out ones."""
        assert self.labelled is not None
        features, stages = embedded(model, self.labelled)
        known, wanted = embedded(model, held_out)
        guess = linear_probe(features, stages, known)
        scores = metrics_from(confusion(wanted.numpy(), guess.numpy()), STAGES)
        return {f"probe_{name}": float(scores[name]) for name in ("kappa", "macro_f1", "accuracy")}


@torch.inference_mode()
def embedded(
    model: Any, batches: Iterable[Windows], *, unscored: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `model.embed` makes of the epochs, float32 (E, D), and their stages (E,).

    Computed once and kept, it serves any number of passes of a probe. Epochs that nobody scored
    are left out unless `unscored`.
    """
    model.eval()
    features, stages = [], []
    for batch in batches:
        rows = model.embed(*_on(model, batch)).float().cpu()
        kept = torch.ones_like(batch.stages, dtype=torch.bool)
        if not unscored:
            kept = batch.stages != UNSCORED
        features.append(rows[kept])
        stages.append(batch.stages[kept])
    return torch.cat(features), torch.cat(stages)


def linear_probe(
    features: torch.Tensor, labels: torch.Tensor, others: torch.Tensor
) -> torch.Tensor:
    """Return the classes (M,) that ridge regression on (E, D) gives to other features (M, D).

    One solution of a linear system: cheap enough for every pass, and without a choice of rate.
    """
    mean, spread = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    x, y = ((t - mean) / spread for t in (features, others))
    x, y = (F.pad(t, (0, 1), value=1.0).double() for t in (x, y))
    wanted = F.one_hot(labels).double()
    ridge = RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    return (y @ torch.linalg.solve(x.T @ x + ridge, x.T @ wanted)).argmax(dim=1)


def _on(
    model: nn.Module, batch: Windows
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return signals and presence of a batch on the device of the model."""
    device = next(model.parameters()).device
    signals = {name: x.to(device) for name, x in batch.signals.items()}
    return signals, {name: x.to(device) for name, x in batch.present.items()}
