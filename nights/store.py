"""The night store: every night kept once on disk, in physical units, whole or not at all.

A night is a handful of files beside each other, in `<root>/<DATASET>/`::

    <rec>.sig.npy      float16 (C, E, S); channels of another rate: another group, <rec>.<group>.npy
    <rec>.lab.npy      int8 (1 + K, E): stages, then seconds of each type of event per epoch
    <rec>.events.csv   onset_s, duration_s, type; only when events were scored
    <rec>.json         sidecar, written last: without it the night does not exist

Nothing is normalised on disk; reading applies the statistics kept in the sidecar. float16 rather
than int16, because it keeps the relative precision of quiet sleep whatever the artefacts of the
night are, in the same number of bytes.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nights.amplitude import channel_statistics
from nights.atomic import atomic_path, write_bytes, write_text
from nights.events import Event, event_seconds, event_types
from nights.hypnogram import Hypnogram
from nights.night import SCHEMA, Night, NightError, read_sidecar
from nights.samples import encode
from nights.stages import UNSCORED

__all__ = ["Night", "NightError", "is_complete", "night_files", "read_sidecar", "write_night"]

Dtype = Literal["float16", "float32"]
Group = tuple[Sequence[str], Sequence[np.ndarray]]  # names, and one float array (E, S) per name

_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f]+")
_GROUP = re.compile(r"(?!lab$)[a-z][a-z0-9_]*")
_SLOW_SAMPLES = 30  # one per second or fewer (SpO2, position): float32, the bytes do not matter
# float16 loses digits below 6.1e-5. Half of the samples lie within an IQR around the median; no
# signal in uV or mV is as quiet as this limit, and EEG in volts has an IQR near 2e-5.
_SMALLEST_IQR = 1e-3
_LARGEST = float(np.finfo(np.float16).max)
_N_PROBED = 200_000  # samples that give offset and IQR: neither needs more


def write_night(
    root: Path,
    dataset: str,
    rec: str,
    signals: Mapping[str, Group],
    hypnogram: Hypnogram,
    *,
    view: Mapping[str, Any],
    person: str,
    group: str | None = None,
    events: Sequence[tuple] | None = None,
    gaps: np.ndarray | None = None,
    sources: Sequence[Path] = (),
    channels: Mapping[str, Mapping[str, Any]] | None = None,
    dtype: Dtype = "float16",
    sidecar: Mapping[str, Any] | None = None,
) -> Path:
    """Write one night and return the path of its sidecar.

    Every refusal comes before the first byte is written. A process killed on the way leaves no
    sidecar, so the night is done again.

    Parameters
    ----------
    root : Path
        Folder of the view, `data/<view>`.
    dataset, rec : str
        Names of the data set and of the recording.
    signals : mapping
        {group: (names, arrays)}, one float array (E, S) per name in physical units (uV, mV, ...);
        a view with one rate has one group, `sig`.
    hypnogram : Hypnogram
        Scoring and clock on the same E epochs; -1 where nobody scored.
    view : mapping
        At least `name` and `hash` of the view.
    person, group : str
        Who slept, and who must stay on one side of a split: the person (default) or a family.
    events : sequence of (onset_s, duration_s, type, ...), optional
        None when nobody scored events; an empty sequence when none was found.
    gaps : bool array (E,), optional
        True for epochs in which nothing was recorded; they become unscored.
    sources : sequence of Path
        Files the night is made from; their size and time decide whether a rerun does it again.
    channels : mapping, optional
        {name: facts}: provenance of a channel (alternative taken, referenced, unit, ...).
    dtype : {"float16", "float32"}
        `float32` keeps every bit, for parity tests.
    sidecar : mapping, optional
        Further facts of the night.

    Raises
    ------
    NightError
        If names or shapes are wrong, or a channel is not finite, flat, in volts or too large.
    """
    night = f"{dataset}/{rec}"
    _check_names(night, (dataset, rec), signals)
    lost = np.zeros(hypnogram.n_epochs, bool) if gaps is None else np.asarray(gaps, bool)
    found = None if events is None else sorted(Event(*event) for event in events)
    scored = replace(hypnogram, stages=np.where(lost, UNSCORED, hypnogram.stages))
    offsets = _offsets(night, signals, ~lost, dtype)
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "dataset": dataset,
        "rec": rec,
        "person": person,
        "group": group or person,
        "view": {"name": view["name"], "hash": view["hash"], **view},
        "dtype": dtype,
        "sources": _source_facts(sources),
        "gaps": _stretches(lost),
        "event_types": None if found is None else event_types(found),
        **_scoring_facts(scored),
        "groups": {},
        "crc32": {},
    }
    if taken := sorted(facts.keys() & (sidecar or {}).keys()):
        raise NightError(f"night {night!r}: the store itself writes {', '.join(taken)}")
    path = Path(root) / dataset / f"{rec}.json"
    _forget(path)
    for name, (names, arrays) in signals.items():
        known = [{"name": n, **(channels or {}).get(n, {}), "offset": offsets[n]} for n in names]
        file = path.with_name(f"{rec}.{name}.npy")
        facts["groups"][name], facts["crc32"][f"{name}.npy"] = _write_group(
            file, arrays, known, dtype, recorded=~lost, staged=scored.scored
        )
    facts["crc32"] |= _write_scoring(path, scored, found)
    write_text(path, json.dumps(_plain(facts | dict(sidecar or {})), indent=1) + "\n")
    return path


def is_complete(
    root: Path,
    dataset: str,
    rec: str,
    *,
    view_hash: str,
    sources: Sequence[Path],
    dtype: Dtype = "float16",
) -> bool:
    """Tell whether the night is there, of this view and dtype, made from these very files."""
    try:
        known = read_sidecar(Path(root) / dataset / f"{rec}.json")
    except NightError:
        return False
    made_of = (known["view"]["hash"], known["dtype"], known["sources"])
    return made_of == (view_hash, dtype, _source_facts(sources))


def night_files(root: Path) -> Iterator[Path]:
    """Yield the sidecar of every complete night below `root`, sorted by data set and recording."""
    for folder in sorted(path for path in Path(root).iterdir() if path.is_dir()):
        if folder.name != "splits":
            yield from sorted(path for path in folder.glob("*.json") if ".tmp." not in path.name)


def _check_names(night: str, names: tuple[str, str], signals: Mapping[str, Group]) -> None:
    """Refuse names that cannot be those of files, and a channel that stands twice."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise NightError(f"night {night!r}: {name!r} cannot be the name of a file")
    for name in signals:
        if not _GROUP.fullmatch(name):
            raise NightError(f"night {night!r}: {name!r} cannot name a group of channels")
    listed = [channel for channels, _ in signals.values() for channel in channels]
    if len(set(listed)) < len(listed) or not listed:
        raise NightError(f"night {night!r}: every channel once is wanted, found {listed}")


def _offsets(
    night: str, signals: Mapping[str, Group], recorded: np.ndarray, dtype: Dtype
) -> dict[str, float]:
    """Check every channel and return {name: what is taken off before storing}."""
    return {
        name: _offset(f"night {night!r}: {name}", samples, recorded, dtype)
        for names, arrays in signals.values()
        for name, samples in zip(names, arrays, strict=True)
    }


def _offset(what: str, samples: np.ndarray, recorded: np.ndarray, dtype: Dtype) -> float:
    """Check the samples (E, S) of one channel and return what is taken off before storing."""
    if samples.ndim != 2 or len(samples) != len(recorded):
        raise NightError(f"{what} has shape {samples.shape}, wanted ({len(recorded)}, samples)")
    low, high = float(samples.min(initial=0)), float(samples.max(initial=0))
    if not np.isfinite((low, high)).all():
        raise NightError(f"{what} holds values that are not finite")
    probe = samples[recorded].ravel()
    probe = probe[:: max(1, probe.size // _N_PROBED)]
    if not probe.size:
        raise NightError(f"{what}: nothing was recorded")
    quarter, median, three_quarters = (float(x) for x in np.percentile(probe, (25, 50, 75)))
    spread = three_quarters - quarter or float(probe.std())
    if spread == 0:
        raise NightError(f"{what} is flat all night: leave it out")
    if spread < _SMALLEST_IQR:
        raise NightError(f"{what} looks like volts (IQR {spread:.1e}): uV or mV is wanted")
    if dtype == "float32":
        return 0.0
    if max(high - median, median - low) > _LARGEST:
        raise NightError(f"{what} reaches {low:g}..{high:g}, too much for float16: store float32")
    return float(np.float32(median))


def _write_group(
    path: Path,
    arrays: Sequence[np.ndarray],
    channels: list[dict[str, Any]],
    dtype: Dtype,
    *,
    recorded: np.ndarray,
    staged: np.ndarray,
) -> tuple[dict[str, Any], int]:
    """Write (C, E, S) channel by channel; return the group's part of the sidecar and its CRC."""
    n_epochs, n_samples = arrays[0].shape
    kept = np.dtype("float32" if n_samples <= _SLOW_SAMPLES else dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(kept),
        "fortran_order": False,
        "shape": (len(arrays), n_epochs, n_samples),
    }
    crc32 = 0
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for samples, channel in zip(arrays, channels, strict=True):
            stored = encode(samples, channel["offset"], kept)
            stored[~recorded] = 0
            crc32 = zlib.crc32(stored.data, crc32)
            file.write(stored.data)
            channel |= channel_statistics(
                stored, channel["offset"], recorded=recorded, staged=staged
            )
    described = {"samples_per_epoch": n_samples, "dtype": kept.name, "channels": channels}
    return described, crc32


def _write_scoring(
    path: Path, hypnogram: Hypnogram, events: Sequence[Event] | None
) -> dict[str, int]:
    """Write stages and events beside the sidecar `path`; return the CRC of each file."""
    seconds = event_seconds(events or (), hypnogram, event_types(events or ()))
    labels = np.concatenate([hypnogram.stages[None], seconds])
    with atomic_path(path.with_suffix(".lab.npy")) as temporary:
        np.save(temporary, labels)
    crc32 = {"lab.npy": zlib.crc32(labels.data)}
    if events is not None:
        lines = [f"{float(e.onset_s)!r},{float(e.duration_s)!r},{e.type}" for e in events]
        table = "\n".join(["onset_s,duration_s,type", *lines, ""]).encode()
        write_bytes(path.with_suffix(".events.csv"), table)
        crc32["events.csv"] = zlib.crc32(table)
    return crc32


def _forget(path: Path) -> None:
    """Remove the night whose sidecar is `path`: sidecar first, so that it is never half there."""
    try:
        endings = read_sidecar(path)["crc32"]
    except NightError:
        endings = {}
    path.unlink(missing_ok=True)
    for ending in endings:
        path.with_suffix(f".{ending}").unlink(missing_ok=True)


def _scoring_facts(hypnogram: Hypnogram) -> dict[str, Any]:
    """Return the part of the sidecar that comes from the scoring and its clock."""
    codes, counts = np.unique(hypnogram.stages, return_counts=True)
    named = {code: name for code, name in enumerate(hypnogram.classes)} | {UNSCORED: "?"}
    return {
        "n_epochs": hypnogram.n_epochs,
        "epoch_s": hypnogram.epoch_s,
        "start": hypnogram.start.isoformat() if hypnogram.start else None,
        "onset_s": hypnogram.onset_s,
        "lights_off_s": hypnogram.lights_off_s,
        "lights_on_s": hypnogram.lights_on_s,
        "classes": hypnogram.classes,
        "scorer": hypnogram.scorer,
        "notes": hypnogram.notes,
        "stage_histogram": {
            named[code]: int(n) for code, n in zip(codes.tolist(), counts, strict=True)
        },
    }


def _source_facts(sources: Sequence[Path]) -> list[dict[str, Any]]:
    """Return name, size and time of change of each source; the folder is nobody's business."""
    found = [(Path(source).name, Path(source).stat()) for source in sources]
    return [
        {"name": name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns} for name, stat in found
    ]


def _stretches(flags: np.ndarray) -> list[list[int]]:
    """Return [first, number] of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [[int(first), int(end - first)] for first, end in edges.reshape(-1, 2)]


def _plain(value: Any) -> Any:
    """Turn NumPy numbers, paths and fractions into what JSON knows; what is not finite is null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)
