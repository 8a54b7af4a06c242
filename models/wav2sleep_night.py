"""wav2sleep on a whole night: the same numbers with every layer one walk through memory.

An instance norm needs its statistics before the next layer can begin, so a night of 1.2 million
samples leaves the caches between any two layers. Here a layer is one walk over blocks of time:
the block of the last layer's raw output is normalised and activated in the cache, convolved, and
written raw, its sums taken while it is still there. Time is the slow axis (T, C), so that

- a convolution of kernel 3 is three matrix products on rows shifted by one, without a copy;
- stride 2 is the same on every other row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional as F

from models.layers import presence
from models.wav2sleep_layers import BatchNorm, ConvLayer, HalvingBlock, InstanceNorm

if TYPE_CHECKING:
    from models.wav2sleep import SignalEncoder, Wav2Sleep

BLOCK = 1 << 17  # numbers of a layer worked on at a time: input and output stay in the L2 cache
ALONE = 16  # epochs worked on at a time where each is encoded alone


class Rows(NamedTuple):
    """Samples of a layer (1 + T + 1, C), a row of zeros at both ends.

    What comes next is `activation(values * gain + shift)`, or `values` where `gain` is None. The
    first layer's output is cheaper to make twice than to keep: `values` are then the signal, still
    to be convolved with `taps`.
    """

    values: torch.Tensor
    gain: torch.Tensor | None = None
    shift: torch.Tensor | None = None
    taps: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.values) - 2


def serves(encoder: SignalEncoder, x: torch.Tensor) -> bool:
    """Tell whether `encode_night` can take the place of the encoder on this night."""
    first = cast("HalvingBlock", encoder.cnn[0])
    norms = {type(layer.norm) for layer in encoder.modules() if isinstance(layer, ConvLayer)}
    return (
        x.device.type == "cpu"
        and not encoder.training
        and not encoder.alone
        and not first.conv1.causal
        and norms <= {InstanceNorm, BatchNorm}
    )


class Rooms:
    """Memory for layers, used again and again: fresh pages cost as much as a convolution."""

    def __init__(self) -> None:
        self._free: list[torch.Tensor] = []

    def take(self, n: int, width: int) -> torch.Tensor:
        """Return (1 + n + 1, width) to be filled, its first and last row zero."""
        wanted = (n + 2) * width
        fitting = [room for room in self._free if len(room) >= wanted]
        room = min(fitting, key=len) if fitting else torch.empty(wanted)
        self._free = [other for other in self._free if other is not room]
        rows = room[:wanted].view(n + 2, width)
        rows[0] = rows[-1] = 0
        return rows

    def give_back(self, rows: torch.Tensor) -> None:
        """Take rows that are no longer needed."""
        self._free.append(torch.as_strided(rows, (rows.untyped_storage().nbytes() // 4,), (1,), 0))


def encode_night(
    encoder: SignalEncoder, x: torch.Tensor, recorded: torch.Tensor, rooms: Rooms | None = None
) -> torch.Tensor:
    """Encode a night (E, T), recorded where `recorded` (E,), as vectors (E, D)."""
    rooms = rooms or Rooms()
    there = None if recorded.all() else recorded
    if there is not None:
        x = x.masked_fill(~there[:, None], 0)
    rows = Rows(rooms.take(x.numel(), 1))
    rows.values[1:-1, 0] = x.flatten()
    for block in encoder.cnn:
        rows = halve(cast("HalvingBlock", block), rows, there, rooms)
    vectors = encoder.epochs(rows.values[None, 1:-1].mT)[0]
    rooms.give_back(rows.values)
    return vectors


def halve(block: HalvingBlock, x: Rows, recorded: torch.Tensor | None, rooms: Rooms) -> Rows:
    """Run a block on activated rows."""
    first = x.values.shape[1] == 1
    one = _begin(block.conv1, x, recorded) if first else convolve(block.conv1, x, recorded, rooms)
    two = convolve(block.conv2, one, recorded, rooms)
    if not first:
        rooms.give_back(one.values)
    three = convolve(block.conv3, two, recorded, rooms)
    rooms.give_back(two.values)
    closed = _close(block, three, x, recorded)
    rooms.give_back(x.values)
    return closed


def convolve(layer: ConvLayer, x: Rows, recorded: torch.Tensor | None, rooms: Rooms) -> Rows:
    """Run a layer: the raw output and how it is to be normalised."""
    stride, taps = layer.conv.stride[0], layer.conv.weight.permute(2, 1, 0)  # (3, n_in, n_out)
    n, n_out = len(x) // stride, taps.shape[2]
    at_once = _rows_at_once(*taps.shape[1:])
    out, starts = rooms.take(n, n_out), range(0, n, at_once)
    activated = _Activated(layer.activation, x, stride * at_once + 2, recorded)
    squares = x.values.new_empty(at_once, n_out)
    sums = x.values.new_empty(2, len(starts), n_out)
    taps = taps.contiguous()
    for start, total, square in zip(starts, *(rows.unbind() for rows in sums), strict=True):
        made = out[1 + start : 1 + min(start + at_once, n)]
        _product(activated(stride * start, stride * len(made) + 2), taps, stride, made)
        _mask(made, start, n, recorded)
        torch.sum(made, 0, out=total)
        torch.sum(torch.mul(made, made, out=squares[: len(made)]), 0, out=square)
    return Rows(out, *_scaling(layer.norm, sums.double().sum(dim=1), n, recorded))


def _product(rows: torch.Tensor, taps: torch.Tensor, stride: int, out: torch.Tensor) -> None:
    """Convolve rows (stride n + 2, n_in) with taps (3, n_in, n_out) into `out` (n, n_out)."""
    last = stride * len(out)
    before, here, after = taps.unbind()
    torch.mm(rows[0:last:stride], before, out=out)
    out.addmm_(rows[1 : last + 1 : stride], here)
    out.addmm_(rows[2 : last + 2 : stride], after)


def _begin(layer: ConvLayer, x: Rows, recorded: torch.Tensor | None) -> Rows:
    """Prepare the first layer, of one channel: its sums follow from those of the signal."""
    taps = layer.conv.weight.permute(2, 1, 0).contiguous()  # (3, 1, n_out)
    gram = torch.zeros(4, 3, dtype=torch.float64)
    for start in range(0, len(x), BLOCK):
        part = x.values[start : min(start + BLOCK, len(x)) + 2]
        windows = part[:, 0].double().unfold(0, 3, 1).contiguous()  # (n, 3)
        _mask(windows, start, len(x), recorded)
        gram += torch.cat([windows.T @ windows, windows.sum(dim=0)[None]])
    weight = taps[:, 0].double()
    squares = (weight * (gram[:3] @ weight)).sum(dim=0)
    sums = torch.stack([gram[3] @ weight, squares])
    return Rows(x.values, *_scaling(layer.norm, sums, len(x), recorded), taps)


class _Activated:
    """The activated rows of a layer, `n` of them or fewer at a time."""

    def __init__(
        self,
        activation: Callable[[torch.Tensor], torch.Tensor],
        x: Rows,
        n: int,
        recorded: torch.Tensor | None,
    ) -> None:
        self.x, self.activation, self.recorded = x, activation, recorded
        width = x.values.shape[1] if x.taps is None else x.taps.shape[2]
        self.scratch = x.values.new_empty(n, width)

    def __call__(self, first: int, n: int) -> torch.Tensor:
        """Return rows first ... first + n - 1, counted with the row of zeros in front."""
        values, gain, shift, taps = self.x
        if gain is None or shift is None:
            return values[first : first + n]
        rows = self.scratch[:n]
        if taps is None:
            torch.addcmul(shift, values[first : first + n], gain, out=rows)
        else:
            begin, end = max(first, 1), min(first + n, len(values) - 1)
            windows = values[begin - 1 : end + 1, 0].unfold(0, 3, 1)
            torch.mm(windows, taps[:, 0], out=rows[begin - first : end - first])
            torch.addcmul(shift, rows, gain, out=rows)
        _activate(self.activation, rows)
        _mask(rows, first - 1, len(self.x), self.recorded)
        if first == 0:
            rows[0] = 0
        if first + n == len(values):
            rows[-1] = 0
        return rows


def _close(block: HalvingBlock, y: Rows, x: Rows, recorded: torch.Tensor | None) -> Rows:
    """Activate and pool what the last layer made, add the shortcut, activate; all in place."""
    halves, width = (2 if block.pool == "max" else 1), y.values.shape[1]
    n, at_once = len(y) // halves, _rows_at_once(width, width)
    out = y.values[: n + 2]
    activated = _Activated(block.conv3.activation, y, halves * at_once, recorded)
    for start in range(0, n, at_once):
        made = out[1 + start : 1 + min(start + at_once, n)]
        rows = activated(1 + halves * start, halves * len(made))
        if halves == 2:
            rows = torch.maximum(rows[0::2], rows[1::2])
        if block.downsample is None:
            made.copy_(rows)
        else:
            shortcut = block.downsample.weight[..., 0].T  # (n_in, n_out)
            skipped = x.values[1 + 2 * start : 1 + 2 * (start + len(made)) : 2]
            torch.addmm(rows, skipped, shortcut, out=made)
        _activate(block.activation, made)
    out[-1] = 0
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
        assert norm.running_var is not None
        assert norm.running_mean is not None
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


def _rows_at_once(n_in: int, n_out: int) -> int:
    """Return how many output rows to work on at a time."""
    return BLOCK // max(n_in, n_out)


def night_logits(model: Wav2Sleep, signals: Mapping, present: Mapping) -> torch.Tensor:
    """Return the logits (E, K) of a night; see `models.wav2sleep.Wav2Sleep.night_proba`."""
    from models.wav2sleep import known_channels

    device, known = model.classifier.weight.device, known_channels(model.config, signals)
    batch = {c: torch.as_tensor(signals[c]).to(device, torch.float32)[None] for c in known}
    given = {c: torch.as_tensor(present[c]).to(device)[None] for c in known if c in present}
    recorded = presence(batch, given, known)  # (1, E, C)
    if not recorded.any():
        raise ValueError(f"nothing was recorded of {', '.join(known)}")
    rooms, features = Rooms(), {}
    for channel in sorted(known, key=lambda c: -model.channels[c]):  # the largest make the rooms
        there = recorded[..., known.index(channel)]
        if there.any():
            night = batch.pop(channel)
            features[channel] = _encode(model, channel, night, there, rooms)
    places = [known.index(channel) for channel in features]
    recorded = recorded[..., places]
    mixed = model.epoch_mixer(torch.stack(list(features.values()), dim=2), recorded)
    return model.stage(mixed, model.inside(recorded)).logits[0]


def _encode(
    model: Wav2Sleep, channel: str, night: torch.Tensor, there: torch.Tensor, rooms: Rooms
) -> torch.Tensor:
    """Encode one channel of a night (1, E, T) as (1, E, D), by the quick way if it serves."""
    encoder = cast("SignalEncoder", model.encoders[model.config.encoder_of[channel]])
    if serves(encoder, night):
        encoded = encode_night(encoder, night[0], there[0], rooms)[None]
    elif encoder.alone and night.device.type == "cpu":
        parts = zip(night.split(ALONE, dim=1), there.split(ALONE, dim=1), strict=True)
        encoded = torch.cat([encoder(x, recorded) for x, recorded in parts], dim=1)
    else:
        encoded = encoder(night, there)
    return encoded if model.embedding is None else encoded + model.embedded(channel)
