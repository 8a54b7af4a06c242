"""EDF and BDF files that are still being written: samples as they come, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nights.stages import EPOCH_S
from recordings.edf import EdfRecording
from recordings.edf.clock import MAX_GAP_S, TOLERANCE_S
from recordings.edf.tal import read_marks
from recordings.recording import RecordingError


@dataclass(frozen=True)
class Stretch:
    """What has come since the last look.

    Parameters
    ----------
    samples : {position: float64 array (n,)}
        Of the channels that were asked for, in `Channel.unit`; pauses are zeros.
    gaps : tuple of (float, float)
        Pauses among them, in seconds from the first sample of the recording.
    """

    samples: dict[int, np.ndarray]
    gaps: tuple[tuple[float, float], ...]


class GrowingEdf(EdfRecording):
    """A file that another program is writing.

    What is known of a recording (`channels`, `start`, ...) is as it was when it was opened: one
    data record must be there. How many the header counts is not looked at, because it is written
    at the end.

    Notes
    -----
    A pause is found by the time-keeping marks of EDF+. Marks that run backwards are passed over in
    a file that calls itself continuous, as in one that is finished; but there all its pauses are
    passed over too, which nobody can know while it grows.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        header = self._header
        self._marks_at = next((i for i, s in enumerate(header.signals) if s.is_annotation), None)
        self._record_bytes = header.record_samples * header.sample_bytes
        self._n_taken, self._end_s = 0, 0.0  # data records read, and where they end
        self._n_samples = dict.fromkeys(range(len(self.channels)), 0)

    def take(self, positions: Sequence[int]) -> Stretch | None:
        """Return the next samples of some channels, about an epoch; None if none have come.

        Raises
        ------
        RecordingError
            If the recording paused for more than an hour, or runs backwards.
        """
        header = self._header
        there = (self.path.stat().st_size - header.n_bytes) // self._record_bytes
        n_records = min(there - self._n_taken, max(1, int(EPOCH_S / header.record_s)))
        if n_records < 1:
            return None
        records = self._later(n_records)
        starts_s = self._starts_s(records)
        late_s = starts_s - (self._end_s + float(header.record_s) * np.arange(n_records))
        if header.discontinuous and late_s.min() < -TOLERANCE_S:
            raise RecordingError(f"{self.path.name}: a data record begins before the last ended")
        paused = np.flatnonzero(late_s > TOLERANCE_S)
        if len(paused) and paused[0] > 0:  # up to the pause; the rest comes with the next look
            records, paused = records[: paused[0]], paused[:0]
        gaps = [self._pause(float(starts_s[0]))] if len(paused) else []
        samples = {position: self._grown(records, position) for position in positions}
        self._n_taken += len(records)
        self._end_s += len(records) * float(header.record_s)
        return Stretch(samples, tuple(gaps))

    def _later(self, n_records: int) -> np.ndarray:
        """Read the next data records, as they would stand in `_rows`."""
        with self.path.open("rb") as file:
            file.seek(self._header.n_bytes + self._n_taken * self._record_bytes)
            content = file.read(n_records * self._record_bytes)
        item = "<i2" if self._header.sample_bytes == 2 else "u1"
        return np.frombuffer(content, item).reshape(n_records, -1)

    def _starts_s(self, records: np.ndarray) -> np.ndarray:
        """Return when data records begin; right after the last where they do not tell."""
        expected_s = self._end_s + float(self._header.record_s) * np.arange(len(records))
        if self._marks_at is None:
            return expected_s
        rows = np.ascontiguousarray(records[:, self._slices[self._marks_at]]).view(np.uint8)
        onsets_s = read_marks(rows).record_onsets_s - self._clock.origin_s
        return np.where(np.isfinite(onsets_s), onsets_s, expected_s)

    def _pause(self, until_s: float) -> tuple[float, float]:
        """Let the recording go on at `until_s`; return the pause."""
        pause = (self._end_s, until_s)
        if until_s - self._end_s > MAX_GAP_S:
            raise RecordingError(
                f"{self.path.name}: pauses for {until_s - self._end_s:.0f} s; what follows is "
                "another recording"
            )
        self._end_s = until_s
        return pause

    def _grown(self, records: np.ndarray, position: int) -> np.ndarray:
        """Return the samples of data records, zeros before them where there was a pause."""
        calibration, before = self._calibrations[position], self._n_samples[position]
        begins = round(self._end_s * float(self.channels[position].rate_hz))
        lost = max(0, begins - before)
        samples = self._integers(records, position).reshape(-1) * np.float64(calibration.gain)
        self._n_samples[position] = before + lost + len(samples)
        return np.concatenate([np.zeros(lost), samples + calibration.offset])
