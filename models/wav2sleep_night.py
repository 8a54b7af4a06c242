"""wav2sleep on a whole night: the same numbers with every layer one walk through memory.

An instance norm needs its statistics before the next layer can begin, so a night of 1.2 million
samples leaves the caches between any two layers. Here a layer is one walk over blocks of time:
the block of the last layer's raw output is normalised and activated in the cache, convolved, and
written raw, its sums taken while it is still there. Time is the slow axis (T, C), so that

- a convolution of kernel 3 is three matrix products on rows shifted by one, without a copy;
- stride 2 is the same on every other row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional as F

from models.layers import presence
from models.wav2sleep_layers import BatchNorm, ConvLayer, HalvingBlock, InstanceNorm

if TYPE_CHECKING:
    from models.wav2sleep import SignalEncoder, Wav2Sleep

BLOCK = 1 << 16  # numbers of a layer worked on at a time: input and output stay in the L2 cache


class Rows(NamedTuple):
    """Samples of a layer (1 + T + 1, C), a row of zeros at both ends.

    What comes next is `activation(values * gain + shift)`, or `values` where `gain` is None.
    """

    values: torch.Tensor
    gain: torch.Tensor | None = None
    shift: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.values) - 2


def serves(encoder: SignalEncoder, x: torch.Tensor) -> bool:
    """Tell whether `encode_night` can take the place of the encoder on this night."""
    first = cast("HalvingBlock", encoder.cnn[0])
    norms = {type(m) for m in encoder.modules() if isinstance(m, ConvLayer) for m in [m.norm]}
    return (
        x.device.type == "cpu"
        and not encoder.training
        and not encoder.alone
        and not first.conv1.causal
        and norms <= {InstanceNorm, BatchNorm}
    )


def encode_night(encoder: SignalEncoder, x: torch.Tensor, recorded: torch.Tensor) -> torch.Tensor:
    """Encode a night (E, T), recorded where `recorded` (E,), as vectors (E, D)."""
    there = None if recorded.all() else recorded
    if there is not None:
        x = x.masked_fill(~there[:, None], 0)
    rows = Rows(_room(x.numel(), 1))
    rows.values[1:-1, 0] = x.flatten()
    for block in encoder.cnn:
        rows = halve(cast("HalvingBlock", block), rows, there)
    return encoder.epochs(rows.values[None, 1:-1].mT)[0]


def halve(block: HalvingBlock, x: Rows, recorded: torch.Tensor | None) -> Rows:
    """Run a block on activated rows."""
    y = x
    for layer in (block.conv1, block.conv2, block.conv3):
        y = convolve(layer, y, recorded)
    return _close(block, y, x, recorded)


def convolve(layer: ConvLayer, x: Rows, recorded: torch.Tensor | None) -> Rows:
    """Run a layer: the raw output and how it is to be normalised."""
    stride = layer.conv.stride[0]
    taps = layer.conv.weight.permute(2, 1, 0).contiguous()  # (3, n_in, n_out)
    n_in, n_out = taps.shape[1:]
    out = _room(len(x) // stride, n_out)
    scratch = x.values.new_empty(stride * _rows_at_once(n_in, n_out) + 2, n_in)
    sums = torch.zeros(2, n_out, dtype=torch.float64)
    for first, end in _blocks(len(x) // stride, _rows_at_once(n_in, n_out)):
        rows = _activated(layer.activation, x, stride * first, stride * end + 2, scratch, recorded)
        made = out[1 + first : 1 + end]
        _multiply(rows, taps, stride, made)
        if layer.norm is not None:
            _mask(made, first, len(x) // stride, recorded)
            sums[0] += made.sum(dim=0)
            sums[1] += made.square().sum(dim=0)
    return Rows(out, *_scaling(layer.norm, sums, len(out) - 2, recorded))


def _activated(
    activation: Callable[[torch.Tensor], torch.Tensor],
    x: Rows,
    first: int,
    end: int,
    scratch: torch.Tensor,
    recorded: torch.Tensor | None,
) -> torch.Tensor:
    """Return rows first..end - 1 of `x`, counted with the row of zeros in front, activated."""
    end = min(end, len(x.values))
    raw = x.values[first:end]
    if x.gain is None:
        return raw
    rows = scratch[: end - first]
    torch.addcmul(x.shift, raw, x.gain, out=rows)
    _activate(activation, rows)
    _mask(rows, first - 1, len(x), recorded)
    if first == 0:
        rows[0] = 0
    if end == len(x.values):
        rows[-1] = 0
    return rows


def _multiply(rows: torch.Tensor, taps: torch.Tensor, stride: int, out: torch.Tensor) -> None:
    """Convolve rows (stride n + 2, n_in) into `out` (n, n_out)."""
    n = len(out)
    if taps.shape[1] == 1:
        torch.mm(rows.flatten().unfold(0, 3, stride)[:n], taps[:, 0], out=out)
        return
    torch.mm(rows[0::stride][:n], taps[0], out=out)
    out.addmm_(rows[1::stride][:n], taps[1])
    out.addmm_(rows[2::stride][:n], taps[2])


def _close(block: HalvingBlock, y: Rows, x: Rows, recorded: torch.Tensor | None) -> Rows:
    """Activate and pool what the last layer made, add the shortcut, activate."""
    halves = 2 if block.pool == "max" else 1
    n, width = len(y) // halves, y.values.shape[1]
    out = y.values if halves == 1 else _room(n, width)
    at_once = _rows_at_once(width, width)
    scratch = out.new_empty(halves * at_once, width)
    for first, end in _blocks(n, at_once):
        begin = 1 + halves * first
        rows = _activated(
            block.conv3.activation, y, begin, 1 + halves * end, scratch, recorded
        )
        made = out[1 + first : 1 + end]
        if halves == 2:
            rows = torch.maximum(rows[0::2], rows[1::2])
        if block.downsample is not None:
            shortcut = block.downsample.weight[..., 0].T  # (n_in, n_out)
            rows = torch.addmm(rows, x.values[1 + 2 * first : 1 + 2 * end : 2], shortcut)
        made.copy_(rows)
        _activate(block.activation, made)
    return Rows(out)


def _activate(activation: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> None:
    """Activate in place."""
    if activation is F.gelu:
        torch.ops.aten.gelu.out(x, out=x)
    else:
        x.copy_(activation(x))


def _scaling(
    norm: nn.Module | None, sums: torch.Tensor, n: int, recorded: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return gain and shift (C,) of a norm, from the sum and the sum of squares of n rows."""
    if isinstance(norm, BatchNorm):
        gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        return gain, norm.bias - norm.running_mean * gain
    assert isinstance(norm, InstanceNorm)
    mean, square = sums / (n if recorded is None else n * recorded.double().mean())
    gain = torch.rsqrt(square - mean**2 + norm.eps)
    return gain.float(), (-mean * gain).float()


def _mask(rows: torch.Tensor, first: int, n: int, recorded: torch.Tensor | None) -> None:
    """Set to 0 the rows, of which the first is `first` of n in a night, that were not recorded."""
    if recorded is None:
        return
    place = torch.arange(first, first + len(rows)).clamp(0, n - 1) * len(recorded) // n
    rows *= recorded[place, None]


def _blocks(n: int, at_once: int) -> Iterator[tuple[int, int]]:
    """Cut n rows into blocks (first, end)."""
    for first in range(0, n, at_once):
        yield first, min(first + at_once, n)


def _rows_at_once(n_in: int, n_out: int) -> int:
    """Return how many output rows to work on at a time."""
    return BLOCK // max(n_in, n_out)


def _room(n: int, width: int) -> torch.Tensor:
    """Return (1 + n + 1, width) to be filled, its first and last row zero."""
    room = torch.empty(n + 2, width)
    room[0] = room[-1] = 0
    return room


def night_logits(model: Wav2Sleep, signals: Mapping, present: Mapping) -> torch.Tensor:
    """Return the logits (E, K) of a night; see `models.wav2sleep.Wav2Sleep.night_proba`."""
    from models.wav2sleep import known_channels

    device, known = model.classifier.weight.device, known_channels(model.config, signals)
    batch = {c: torch.as_tensor(signals[c]).to(device, torch.float32)[None] for c in known}
    there = {c: torch.as_tensor(present[c]).to(device)[None] for c in known if c in present}
    recorded = presence(batch, there, known)  # (1, E, C)
    if not recorded.any():
        raise ValueError(f"nothing was recorded of {', '.join(known)}")
    known_there = recorded.any(dim=1)[0].tolist()
    features = []
    for i, channel in enumerate(known):
        if known_there[i]:
            encoder = cast("SignalEncoder", model.encoders[model.config.encoder_of[channel]])
            night, mask = batch.pop(channel), recorded[..., i]
            if serves(encoder, night):
                encoded = encode_night(encoder, night[0], mask[0])[None]
            else:
                encoded = encoder(night, mask)
            features.append(encoded if model.embedding is None else encoded + model.embedded(channel))
    recorded = recorded[..., known_there]
    mixed = model.epoch_mixer(torch.stack(features, dim=2), recorded)
    return model.stage(mixed, model.inside(recorded)).logits[0]
