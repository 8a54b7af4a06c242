"""A recording that still grows, staged epoch by epoch: the stages of the whole night at once.

    python -m staging.streaming night.edf weights.safetensors --out night.csv

For causal weights of wav2sleep. Each epoch is staged when its last sample has come, from itself and
those before it; memory and time per epoch do not depend on the length of the recording. A row per
epoch is written to the CSV file as it is staged, as in the hypnogram of a whole night. Begun anew,
it catches up from the start of the recording with the same stages.

What only the whole night can tell is not looked at: alarms, a correction that sees the future, and
whether a channel is flat to its end.
"""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from command_line import run

if TYPE_CHECKING:
    import numpy as np

    from nights.hypnogram import Hypnogram
    from recordings.channels import Candidate
    from recordings.edf.growing import GrowingEdf, Stretch
    from recordings.recording import Channel
    from staging.networks import NetworkStager

DRY_RUN_EPOCHS = 20


@dataclass(frozen=True)
class Config:
    """Stage an EDF or BDF file while it is being written; one row per epoch.

    Examples:
      python -m staging.streaming night.edf runs/causal/best.safetensors
      python -m staging.streaming night.edf causal.safetensors --channel ECG=Herz
    """

    path: Path  # the file; it may not be there yet
    stager: str  # causal weights of wav2sleep, by name or file
    out: Path = Path("stream.csv")  # the hypnogram; what staged it is told in the .json beside it
    quiet_s: float = 60.0  # without a new data record for so long, the recording is over
    poll_s: float = 1.0  # time between two looks
    channel: tuple[str, ...] = ()  # channels named by hand: ECG=Herz, ABD=#7, PPG= (leave out)
    signals: str = ""  # use only these of the channels the weights know: ECG,THX
    device: Literal["auto", "cpu", "cuda"] = "auto"  # where the network runs
    dry_run: bool = False  # the first ten minutes of what is there

    def __post_init__(self) -> None:
        if self.poll_s <= 0 or self.quiet_s < 0:
            raise ValueError("--poll-s must be above 0 and --quiet-s not below")


def main(cfg: Config) -> int:
    """Follow the recording to its end and write every epoch as it comes."""
    from evaluation.export import csv_rows
    from nights.atomic import write_text
    from recordings.channels import parse_overrides
    from staging.networks import NetworkStager

    only = tuple(name for name in cfg.signals.split(",") if name)
    stager = NetworkStager.from_weights(cfg.stager, device=cfg.device, signals=only)
    told = {"recording": cfg.path.name, "normalisation": stager.normalise, **stager.provenance}
    overrides, quiet_s = parse_overrides(cfg.channel), 0.0 if cfg.dry_run else cfg.quiet_s
    staged = follow(cfg.path, stager, overrides=overrides, quiet_s=quiet_s, poll_s=cfg.poll_s)
    cfg.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(cfg.out.with_suffix(".json"), json.dumps(told, indent=1) + "\n")
    if stager.provenance.get("simulated"):
        sys.stdout.write("the weights were trained on simulated nights\n")
    with cfg.out.open("w", newline="", encoding="utf-8") as file:  # grows with the recording
        rows = csv.writer(file, lineterminator="\n")
        for epoch, hypnogram in enumerate(staged):
            header, row = csv_rows(hypnogram, first=epoch)
            rows.writerows([row] if epoch else [header, row])
            file.flush()
            sys.stdout.write(f"epoch {epoch:5d}  {row[3] or f'{row[1]:.0f} s'}  {row[4]}\n")
            if cfg.dry_run and epoch + 1 == DRY_RUN_EPOCHS:
                break
    return 0


def follow(
    path: Path,
    stager: NetworkStager,
    *,
    overrides: Mapping[str, Candidate] | None = None,
    quiet_s: float = 60.0,
    poll_s: float = 1.0,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Hypnogram]:
    """Yield the epochs of a growing recording, each a hypnogram of one epoch, as they come.

    Parameters
    ----------
    path : Path
        An EDF or BDF file; it may not be there yet.
    stager : NetworkStager
        With causal weights of wav2sleep.
    overrides : mapping, optional
        Channels named by hand.
    quiet_s, poll_s : float
        Without new samples for `quiet_s` the recording is over; looks are `poll_s` apart.
    wait : callable
        Waits for so many seconds.

    Raises
    ------
    ValueError
        If the weights see the future.
    RecordingError
        If the file does not become a recording within `quiet_s`, has none of the channels, or
        pauses for more than an hour.
    """
    if stager.normalise != "z_running" or stager.view.resample != "time":
        raise ValueError(
            f"{stager.name} needs the whole night: a growing recording is staged by causal "
            "weights of wav2sleep (main_train.py --model wav2sleep --preset causal)"
        )
    recording = _opened(path, quiet_s, poll_s, wait)
    stream, quiet = EpochStream(stager, recording, overrides), 0.0
    while True:
        stretch = recording.take(stream.positions)
        if stretch is not None:
            quiet = 0.0
            stream.add(stretch)
            yield from stream.epochs()
        elif quiet >= quiet_s:
            break
        else:
            wait(poll_s)
            quiet += poll_s
    yield from stream.epochs(over=True)


class EpochStream:
    """Samples of a growing recording in, staged epochs out.

    Parameters
    ----------
    stager : NetworkStager
        With causal weights.
    recording : GrowingEdf
    overrides : mapping, optional
        Channels named by hand.
    """

    def __init__(
        self,
        stager: NetworkStager,
        recording: GrowingEdf,
        overrides: Mapping[str, Candidate] | None = None,
    ) -> None:
        from models.wav2sleep_stream import NightStream
        from nights.running_scale import RunningScale

        self.stager, self.recording = stager, recording
        self.stream = NightStream(stager.model)
        montage = stager.montage(recording, overrides, vote=False)
        found = [choice for choice in montage.choices if choice.plus is not None]
        self.feeds = {
            choice.target: _Feed(recording.channels[int(choice.plus)], choice.target, stager)  # type: ignore[arg-type]
            for choice in found
        }
        self.scales = {target: RunningScale() for target in self.feeds}
        self.positions = [feed.channel.position for feed in self.feeds.values()]
        self.gaps: list[tuple[float, float]] = []
        self.n_staged = 0

    def add(self, stretch: Stretch) -> None:
        """Take the next samples."""
        for feed in self.feeds.values():
            feed.add(stretch.samples[feed.channel.position])
        self.gaps += stretch.gaps

    def epochs(self, *, over: bool = False) -> Iterator[Hypnogram]:
        """Yield the epochs that are complete; the last of all only when the recording is over."""
        while all(feed.holds(self.n_staged, over=over) for feed in self.feeds.values()):
            yield self._staged()

    def _staged(self) -> Hypnogram:
        """Stage the next epoch."""
        import numpy as np

        from nights.hypnogram import Hypnogram
        from nights.stages import EPOCH_S

        onset_s = self.n_staged * EPOCH_S
        lost = any(a < onset_s + EPOCH_S and b > onset_s for a, b in self.gaps)
        self.gaps = [gap for gap in self.gaps if gap[1] > onset_s + EPOCH_S]
        epochs = {target: feed.cut(self.n_staged) for target, feed in self.feeds.items()}
        if not lost:
            epochs = {target: self.scales[target](x) for target, x in epochs.items()}
        proba = self.stream.step(epochs, dict.fromkeys(epochs, not lost)).cpu().numpy()[None]
        start = self.recording.start
        self.n_staged += 1
        return Hypnogram.from_proba(
            np.full_like(proba, np.nan) if lost else proba,
            start=start and start + timedelta(seconds=onset_s),
            onset_s=float(onset_s),
            classes=self.stager.classes,
            scorer=self.stager.name,
        )


class _Feed:
    """One channel: its samples in, its epochs as `read_view` gives them out.

    A blank unit is taken for the usual one: what is scaled as it comes needs no unit.
    """

    def __init__(self, channel: Channel, target: str, stager: NetworkStager) -> None:
        import numpy as np

        from recordings.channels import TARGETS, VOLTAGES

        self.channel, self.target = channel, TARGETS[target]
        self.n_samples = stager.view.samples_of(target)  # per epoch
        self.target_hz = stager.view.rate_hz(target)
        self.unitless = self.target.kind in VOLTAGES and channel.unit == ""
        self._kept, self._begin = np.empty(0), 0  # samples, and the place of the first of them

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples, in the unit of the file."""
        import numpy as np

        from recordings.ingest import in_unit

        if not self.unitless:
            samples = in_unit(samples, self.channel, self.target)
        self._kept = np.concatenate([self._kept, samples])

    def holds(self, epoch: int, *, over: bool) -> bool:
        """Return whether all of an epoch is there, and the sample behind it unless it is over."""
        n, rate_hz = self._begin + len(self._kept), self.channel.rate_hz
        ends = (epoch + 1) * self.n_samples / self.target_hz * rate_hz  # in samples of the file
        return n >= ends if over else n >= math.floor(ends) + 2

    def cut(self, epoch: int) -> np.ndarray:
        """Return an epoch (S,), float32, and forget what came before its end."""
        import numpy as np

        from recordings.signals import interpolate_at, last_within

        rate_hz, n = self.channel.rate_hz, self._begin + len(self._kept)
        out = np.zeros(self.n_samples, dtype=np.float32)
        last = min((epoch + 1) * self.n_samples, last_within(n, rate_hz, self.target_hz))
        k = np.arange(epoch * self.n_samples + 1, last + 1)
        out[: len(k)] = interpolate_at(self._kept, k, rate_hz, self.target_hz, begin=self._begin)
        ends = math.floor(Fraction((epoch + 1) * self.n_samples) / self.target_hz * rate_hz)
        keep = min(ends, n) - self._begin
        self._kept, self._begin = self._kept[keep:], self._begin + keep
        return out


def _opened(path: Path, quiet_s: float, poll_s: float, wait: Callable[[float], None]) -> GrowingEdf:
    """Open the recording as soon as its first data record is there."""
    from recordings.edf.growing import GrowingEdf
    from recordings.recording import RecordingError

    waited = 0.0
    while True:
        try:
            return GrowingEdf(path)
        except RecordingError:  # no file, or half a header: not yet
            if waited >= quiet_s:
                raise
        wait(poll_s)
        waited += poll_s


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
