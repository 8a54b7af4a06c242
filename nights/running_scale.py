"""Normalisation that needs neither the future nor the length of the night, an epoch at a time.

The published causal normaliser of wav2sleep (`recordings.signals.z_score_causal`) takes its start
values from the first two minutes, or from a tenth of the recording. Here an average over what has
been heard grows until it spans its time constant: an epoch is scaled by itself and those before it.
"""

from __future__ import annotations

import math

import numpy as np

from nights.stages import EPOCH_S

# Time constants and clipping of wav2sleep's published causal normaliser.
MEAN_TAU_S, VARIANCE_TAU_S, CLIP_SIGMA = 120.0, 900.0, 4.0
MIN_SIGMA = 1e-6  # of its z-score; the published causal floor of 0.1 would depend on the unit


class RunningScale:
    """Scales the epochs of one signal as they come; memory does not grow."""

    def __init__(self) -> None:
        self.mean = self.variance = 0.0
        self._weights = [0.0, 0.0]  # epochs that the two averages stand for

    def __call__(self, epoch: np.ndarray) -> np.ndarray:
        """Return the next epoch (T,) in standard deviations, float32.

        Samples beyond four standard deviations of what came before count as four.
        """
        x = epoch.astype(np.float64)
        heard = x
        if self._weights[0]:  # the published code clips for the variance alone
            reach = CLIP_SIGMA * max(math.sqrt(self.variance), MIN_SIGMA)
            heard = x.clip(self.mean - reach, self.mean + reach)
        self.mean += self._share(0, MEAN_TAU_S) * (float(heard.mean()) - self.mean)
        power = float(np.square(heard - self.mean).mean())
        self.variance += self._share(1, VARIANCE_TAU_S) * (power - self.variance)
        x -= self.mean
        return (x / max(math.sqrt(self.variance), MIN_SIGMA)).astype(np.float32)

    def _share(self, which: int, tau_s: float) -> float:
        """Return the share of the new epoch in an average: 1, 1/2, ... down to EPOCH_S / tau_s."""
        self._weights[which] = 1 + math.exp(-EPOCH_S / tau_s) * self._weights[which]
        return 1 / self._weights[which]


def scale_night(x: np.ndarray, recorded: np.ndarray | None = None) -> np.ndarray:
    """Scale a whole signal (E, T) as `RunningScale` does epoch by epoch, to the bit.

    Epochs that are not `recorded` (E,) become zeros and leave no trace in the averages.
    """
    scale, out = RunningScale(), np.zeros(x.shape, dtype=np.float32)
    for epoch in range(len(x)) if recorded is None else np.flatnonzero(recorded):
        out[epoch] = scale(x[epoch])
    return out
