"""Signals left out at random in training, so that one network serves every subset (wav2sleep).

NightWindows(paths, ["ABD", "THX", "ECG", "PPG"], None, seed=1, channel_draw=wav2sleep_draw)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

# Published settings: a belt is left out in seven of ten nights, the pulse hardly ever.
DROP = {"ABD": 0.7, "THX": 0.7, "ECG": 0.5, "PPG": 0.1, "E1": 0.7, "E2": 0.7}
FALLBACKS = ("ECG", "PPG")


@dataclass(frozen=True)
class SignalMasking:
    """A draw of channels for `nights.windows.NightWindows`.

    Parameters
    ----------
    drop : mapping of str to float
        Probability that a channel is left out, each by itself; one that is not named stays.
    fallbacks : sequence of str
        If nothing is left, one of these that the night has is kept, each as likely. A night that
        has none of them keeps any of its channels, with weight 1 - drop (the published code stops
        at such a night even if there is no need to fall back).
    """

    drop: Mapping[str, float] = field(default_factory=lambda: DROP)
    fallbacks: Sequence[str] = FALLBACKS

    def __call__(self, rng: np.random.Generator, channels: Sequence[str]) -> list[str]:
        """Return the channels to keep of those that are present; at least one, if there is one."""
        kept = [name for name in channels if rng.random() >= self.drop.get(name, 0.0)]
        if kept or not channels:
            return kept
        safe = [name for name in channels if name in self.fallbacks]
        weights = [1.0] * len(safe) or [1 - self.drop.get(name, 0.0) for name in channels]
        total = sum(weights)
        share = [weight / total if total else 1 / len(weights) for weight in weights]
        return [(safe or list(channels))[int(rng.choice(len(share), p=share))]]


wav2sleep_draw = SignalMasking()
