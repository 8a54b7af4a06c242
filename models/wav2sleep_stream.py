"""wav2sleep on a growing recording: one epoch in, its stage out, memory that does not grow.

For causal models. An epoch costs the same however long the recording is: the encoder sees it (and,
where its convolutions look back, the two before it), and each dilated convolution keeps the few
features it will look back to. The probabilities are those of the whole night at once, to rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import cast

import torch

from models.wav2sleep import Wav2Sleep, known_channels
from models.wav2sleep_layers import TIMELESS, ConvLayer, DilatedBlock

# What convolutions of kernel 3 look back to: 6 (1 + 2 + 4 + ...) samples, less than 1.5 epochs.
LOOK_BACK = 2


class NightStream:
    """The state of one recording that is being staged.

    Parameters
    ----------
    model : Wav2Sleep
        Causal, in evaluation mode.

    Raises
    ------
    ValueError
        If the model sees the future.
    """

    def __init__(self, model: Wav2Sleep) -> None:
        config = model.config
        sees = config.causal == "convolutions" and config.norm not in TIMELESS
        if config.causal == "no" or sees or config.sequence_norm not in TIMELESS:
            raise ValueError("the model sees the whole night: only a causal one stages a stream")
        self.model = model.eval()
        look_back = LOOK_BACK if config.causal == "convolutions" else 0
        self._signals = {c: deque[torch.Tensor](maxlen=1 + look_back) for c in config.channels}
        self._there = {c: deque[bool](maxlen=1 + look_back) for c in config.channels}
        device, width = model.classifier.weight.device, config.width
        self._features = [
            [
                torch.zeros(1, width, cast("ConvLayer", layer).reach, device=device)
                for layer in block
            ]
            for block in self._layers()
        ]

    @torch.inference_mode()
    def step(self, signals: Mapping, present: Mapping[str, bool] | None = None) -> torch.Tensor:
        """Stage the next epoch.

        Parameters
        ----------
        signals : {channel: array or tensor (T,)}
            One epoch, normalised as the model was trained; any of its channels.
        present : {channel: bool}, optional
            Whether it was recorded; a channel that is not named was.

        Returns
        -------
        float32 tensor (K,)
            Probabilities of the stages of this epoch.
        """
        known = known_channels(self.model.config, signals)
        for channel, n_samples in self.model.channels.items():
            epoch = signals[channel] if channel in known else torch.zeros(n_samples)
            self._signals[channel].append(torch.as_tensor(epoch, dtype=torch.float32))
            self._there[channel].append(
                channel in known and bool((present or {}).get(channel, True))
            )
        features, there = [], []
        for channel in self.model.channels:
            recorded = torch.tensor([list(self._there[channel])])  # (1, epochs kept)
            x = torch.stack(list(self._signals[channel]))[None]
            device = self.model.classifier.weight.device
            encoded = self.model.encode(channel, x.to(device), recorded.to(device))
            features.append(encoded[:, -1:])
            there.append(recorded[:, -1:])
        present_now = torch.stack(there, dim=2).to(features[0].device)  # (1, 1, C)
        mixed = self.model.epoch_mixer(torch.stack(features, dim=2), present_now)
        return self.model.classifier(self._sequence(mixed)).softmax(dim=-1)[0, 0]

    def _sequence(self, x: torch.Tensor) -> torch.Tensor:
        """Run the dilated convolutions on one epoch (1, 1, D)."""
        y = x.mT  # (1, D, 1)
        blocks = self.model.sequence_mixer.dilated_convs
        for block, layers, kept in zip(blocks, self._layers(), self._features, strict=True):
            shortcut = y
            for place, layer in enumerate(layers):
                seen = torch.cat([kept[place], y], dim=-1)  # what it looks back to, and now
                kept[place] = seen[..., 1:]
                y = layer.convolved(seen, None)
            y = cast("DilatedBlock", block).activation(y + shortcut)
        return y.mT

    def _layers(self) -> list[list[ConvLayer]]:
        """Return the layers of each block of the sequence mixer."""
        blocks = self.model.sequence_mixer.dilated_convs
        return [list(cast("DilatedBlock", block).conv_layers) for block in blocks]  # type: ignore[arg-type]
