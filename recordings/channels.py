"""Which channels of a file are F3, E1, Chin, ...: found by rules, shown as a table, overridable.

A candidate is a label or a pair of labels to subtract; the first whose channels are all there and
usable wins. The facts of a known data set name the labels as its files write them (`candidates`);
for any other file the labels are first brought to canonical spelling (`recordings/labels.py`), then
looked up in `GENERIC` (`recordings/targets.py`). What was decided, and why, is a `Montage`, which
prints as a table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recordings.labels import Candidate, canonical_names, is_referenced, kind_of
from recordings.recording import Channel, Recording, RecordingError
from recordings.targets import GENERIC, PREFERENCE, TARGETS, VOLTAGES, Target

__all__ = [
    "GENERIC",
    "PREFERENCE",
    "TARGETS",
    "Candidate",
    "Choice",
    "Montage",
    "Target",
    "best_available",
    "parse_overrides",
    "ranked",
    "read_overrides",
    "resolve",
]


@dataclass(frozen=True)
class Choice:
    """What was decided for one target.

    Parameters
    ----------
    target : str
        Canonical name.
    plus, minus : int or None
        Positions in the file; the signal is `plus` or `plus - minus`. `plus` None: not found.
    how : str
        The labels taken, or why there are none; channels passed over are named with the reason.
    referenced : bool
        False for an electrode against the recording's own reference.
    """

    target: str
    plus: int | None
    minus: int | None
    how: str
    referenced: bool


@dataclass(frozen=True)
class Montage:
    """The choices of one recording, in the order wanted."""

    choices: tuple[Choice, ...]

    @property
    def found(self) -> tuple[str, ...]:
        """Targets that have a channel."""
        return tuple(choice.target for choice in self.choices if choice.plus is not None)

    def __getitem__(self, target: str) -> Choice:
        """Return the choice of one target; KeyError when it was not wanted."""
        return {choice.target: choice for choice in self.choices}[target]

    def table(self, recording: Recording) -> str:
        """Return the decision as text: wanted, found, rate, referenced or not, how."""
        rows = [("wanted", "found", "rate", "referenced", "how")]
        for choice in self.choices:
            if choice.plus is None:
                rows.append((choice.target, "-", "-", "-", choice.how))
                continue
            at = [f"#{place}" for place in (choice.plus, choice.minus) if place is not None]
            rate = f"{float(recording.channels[choice.plus].rate_hz):g} Hz"
            reference = "yes" if choice.referenced else "no"
            rows.append((choice.target, " - ".join(at), rate, reference, choice.how))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        return "\n".join("  ".join([*map(str.ljust, row, widths), row[4]]).rstrip() for row in rows)

    def to_json(self) -> list[dict[str, object]]:
        """Return the choices as plain dictionaries."""
        return [asdict(choice) for choice in self.choices]


def resolve(
    recording: Recording,
    wanted: Sequence[str],
    *,
    candidates: Mapping[str, Sequence[Candidate]] | None = None,
    overrides: Mapping[str, Candidate] | None = None,
    as_recorded: bool = False,
) -> Montage:
    """Choose the channels of `recording` that are the `wanted` targets.

    Parameters
    ----------
    recording : Recording
        Only its channel table is read.
    wanted : sequence of str
        Names of `TARGETS`.
    candidates : mapping, optional
        Labels as the files of a known data set write them, in order of priority; a target that is
        not listed has none. Default: `GENERIC`, on canonical spellings.
    overrides : mapping, optional
        What the user named (`parse_overrides`); it comes before everything else. An empty text
        leaves the target out.
    as_recorded : bool
        Never subtract, and prefer the bare electrode: what wav2sleep reads.

    Raises
    ------
    RecordingError
        If an override names a channel the file does not have, or one that is dead.
    """
    _check_targets([*wanted, *(overrides or {})])
    finder = _Canonical(recording) if candidates is None else _Literal(recording)
    choices = []
    for target in wanted:
        if overrides is not None and target in overrides:
            choices.append(_overridden(recording, target, overrides[target]))
            continue
        tried = (GENERIC if candidates is None else candidates).get(target, ())
        if as_recorded:
            tried = [label for label in tried if isinstance(label, str)]
        if as_recorded and candidates is None:
            tried = sorted(tried, key=lambda label: "-" in label)
        choices.append(_first(recording, finder, TARGETS[target], tried))
    return Montage(tuple(choices))


def ranked(
    recording: Recording, kind: str, *, overrides: Mapping[str, Candidate] | None = None
) -> tuple[Choice, ...]:
    """Return every usable derivation of one kind, best first.

    For stagers that read any single EEG (or EOG, chin): what the user named comes first, then
    central, frontal and occipital derivations, those against a mastoid before bare electrodes. Last
    stands, as `EEG` or `EOG`, one channel that is no target but that its label calls so. No channel
    is the plus side of two choices.

    Parameters
    ----------
    recording : Recording
    kind : str
        `eeg`, `eog`, `emg`, `ecg`, `ppg`, `resp` or `spo2`.
    overrides : mapping, optional
        As for `resolve`.
    """
    overrides = overrides or {}
    named = [target for target in overrides if TARGETS[target].kind == kind]
    order = [*named, *(target for target in PREFERENCE[kind] if target not in named)]
    montage = resolve(recording, order, overrides=overrides)
    found = [choice for choice in montage.choices if choice.plus is not None]
    found.sort(key=lambda choice: (choice.target not in named, not choice.referenced))
    kept: dict[int | None, Choice] = {}
    for choice in found:
        kept.setdefault(choice.plus, choice)
    best = tuple(kept.values())
    if kind in ("eeg", "eog") and kind.upper() not in {choice.target for choice in best}:
        return best + _other(recording, kind, best)
    return best


def best_available(
    recording: Recording, kind: str, *, overrides: Mapping[str, Candidate] | None = None
) -> Choice:
    """Return the first of `ranked`; `plus` is None, and `how` says why, when there is none."""
    found = ranked(recording, kind, overrides=overrides)
    listed = ", ".join(recording.labels) or "no signals"
    none = f"no usable {kind.upper()} among: {listed}"
    return found[0] if found else Choice(kind.upper(), None, None, none, False)


def parse_overrides(texts: Iterable[str]) -> dict[str, Candidate]:
    """Read `TARGET=CHANNEL` texts, such as `C4=EEG2-A1`.

    CHANNEL is a label, a difference `A-B` of two labels, a position `#7` as the printed table shows
    it, a difference of positions `#7-#9`, or empty to leave the target out. Whether `EEG2-A1` is a
    label or a difference is decided by the file: a label that is there comes first.

    Raises
    ------
    ValueError
        If there is no `=`, or the target is not one of `TARGETS`.
    """
    overrides: dict[str, Candidate] = {}
    for text in texts:
        target, equals, channel = text.partition("=")
        if not equals:
            raise ValueError(f"channel {text!r}: TARGET=LABEL is wanted, such as C4=EEG2-A1")
        _check_targets([target.strip()])
        overrides[target.strip()] = channel.strip()
    return overrides


def read_overrides(path: Path) -> dict[str, Candidate]:
    """Read overrides from a file: a JSON object, or lines `TARGET=CHANNEL` (`#` starts a comment).

    In JSON a value is a text as in `parse_overrides` or a list of two labels, plus and minus.

    Raises
    ------
    ValueError
        As `parse_overrides`, and for JSON of another shape; the message names the file.
    """
    text = path.read_text(encoding="utf-8")
    try:
        if not text.lstrip().startswith("{"):
            lines = (line.strip() for line in text.splitlines())
            return parse_overrides(line for line in lines if line and not line.startswith("#"))
        read = json.loads(text)
        _check_targets(list(read))
        return {target: _candidate(target, value) for target, value in read.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _candidate(target: str, value: object) -> Candidate:
    """Return a JSON value as a candidate."""
    match value:
        case str():
            return value
        case [str() as plus, str() as minus]:
            return plus, minus
    raise ValueError(f"channel of {target}: a label or [plus, minus] is wanted, found {value!r}")


def _check_targets(names: Iterable[str]) -> None:
    """Refuse names that are no target."""
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        raise ValueError(f"no channel {', '.join(unknown)}; there are {', '.join(TARGETS)}")


class _Literal:
    """Finds labels as written, by the catalog's rule.

    Blanks around are nothing, runs of blank and underscore are equal; the exact spelling comes
    first, another case only when just one channel of the file has it.
    """

    def __init__(self, recording: Recording) -> None:
        self.exact: dict[str, list[int]] = {}
        self.folded: dict[str, list[int]] = {}
        for channel in recording.channels:
            label = _plain(channel.label)
            self.exact.setdefault(label, []).append(channel.position)
            self.folded.setdefault(label.casefold(), []).append(channel.position)

    def find(self, label: str) -> list[int]:
        """Return the positions that go by `label`."""
        plain = _plain(label)
        folded = self.folded.get(plain.casefold(), [])
        return self.exact.get(plain) or (folded if len(folded) == 1 else [])

    def missing(self, target: str, tried: Sequence[Candidate]) -> str:
        """Say what was looked for in vain."""
        return f"not found; tried {', '.join(map(_text, tried))}" if tried else "none is named"


class _Canonical:
    """Finds canonical names among the labels of an unknown file."""

    def __init__(self, recording: Recording) -> None:
        self.names = canonical_names(recording.labels)

    def find(self, name: str) -> list[int]:
        """Return the positions whose label means `name`."""
        return [position for position, found in enumerate(self.names) if found == name]

    def missing(self, target: str, tried: Sequence[Candidate]) -> str:
        """Say that the labels do not speak of the target."""
        return f"no label of the file means {target}"


def _plain(label: str) -> str:
    """Return the label without outer blanks, runs of blank and underscore as one blank."""
    return re.sub(r"[_\s]+", " ", label.strip())


def _first(
    recording: Recording,
    finder: _Literal | _Canonical,
    target: Target,
    candidates: Sequence[Candidate],
) -> Choice:
    """Return the first candidate whose channels are all there and usable."""
    passed_over: dict[str, None] = {}
    for candidate in candidates:
        labels = (candidate,) if isinstance(candidate, str) else candidate
        places = [_usable(recording, finder.find(label), target, passed_over) for label in labels]
        chosen = [place for place in places if place is not None]
        if len(chosen) == len(labels):
            return _choice(recording, target.name, chosen, list(passed_over))
    reasons = "; ".join(passed_over)
    how = f"not usable: {reasons}" if reasons else finder.missing(target.name, candidates)
    return Choice(target.name, None, None, how, False)


def _usable(
    recording: Recording, places: list[int], target: Target, passed_over: dict[str, None]
) -> int | None:
    """Return the first of `places` that can be used; note why the others cannot."""
    for place in places:
        reason = _unusable(recording.channels[place], target.kind)
        if not reason:
            return place
        passed_over[f"{recording.channels[place].label!r} #{place} {reason}"] = None
    return None


def _unusable(channel: Channel, kind: str) -> str:
    """Say why a channel cannot be a signal of `kind`; empty when it can."""
    if channel.dead:
        return f"is dead ({channel.dead})"
    if kind in VOLTAGES and channel.unit not in ("uV", ""):
        return f"is in {channel.unit}, no voltage"
    return ""


def _choice(
    recording: Recording, target: str, places: Sequence[int], notes: Sequence[str]
) -> Choice:
    """Describe what was taken: one channel, or plus and minus."""
    labels = [recording.channels[place].label for place in places]
    twins = recording.labels.count(labels[0])
    remarks = [f"first usable of {twins} so called"] if twins > 1 else []
    remarks += notes
    how = " - ".join(f"{label!r}" for label in labels)
    how += f" ({'; '.join(remarks)})" if remarks else ""
    minus = places[1] if len(places) == 2 else None
    referenced = minus is not None or is_referenced(canonical_names(recording.labels)[places[0]])
    return Choice(target, places[0], minus, how, referenced)


def _overridden(recording: Recording, target: str, wanted: Candidate) -> Choice:
    """Return the channels the user named."""
    if wanted == "":
        return Choice(target, None, None, "left out as asked", False)
    places = _named_places(recording, wanted)
    if not places:
        listed = ", ".join(f"#{c.position} {c.label}" for c in recording.channels)
        raise RecordingError(
            f"{recording.path.name}: {target}={_text(wanted)} is neither a label nor a difference "
            f"of two; the file has: {listed}"
        )
    for place in places:
        reason = _unusable(recording.channels[place], TARGETS[target].kind)
        if reason:
            label = recording.channels[place].label
            raise RecordingError(f"{recording.path.name}: {target}: {label!r} #{place} {reason}")
    return _choice(recording, target, places, ["as asked"])


def _named_places(recording: Recording, wanted: Candidate) -> list[int]:
    """Return the position, or the two positions, that a user's text means; empty when none fit."""
    literal = _Literal(recording)

    def place(label: str) -> list[int]:
        number = re.fullmatch(r"\s*#(\d+)\s*", label)
        if number:
            return [int(number[1])] if int(number[1]) < len(recording.channels) else []
        return literal.find(label)[:1]

    if isinstance(wanted, str) and place(wanted):
        return place(wanted)
    pairs = [wanted] if isinstance(wanted, tuple) else _splits(wanted)
    both = ([*place(plus), *place(minus)] for plus, minus in pairs)
    return next((places for places in both if len(places) == 2), [])


def _splits(text: str) -> list[tuple[str, str]]:
    """Return every way to cut `text` in two at a hyphen."""
    return [(text[: m.start()], text[m.end() :]) for m in re.finditer("-", text)]


def _text(candidate: Candidate) -> str:
    """Write a candidate for a message."""
    return candidate if isinstance(candidate, str) else " - ".join(candidate)


def _other(recording: Recording, kind: str, found: Sequence[Choice]) -> tuple[Choice, ...]:
    """Return the best EEG or EOG channel that no target took, if there is one."""
    taken = {place for choice in found for place in (choice.plus, choice.minus)}
    names = canonical_names(recording.labels)
    free = [
        channel.position
        for channel, name in zip(recording.channels, names, strict=True)
        if channel.position not in taken
        and kind_of(channel.label, name) == kind
        and not _unusable(channel, kind)
    ]
    free.sort(key=lambda place: not is_referenced(names[place]))
    return tuple(_choice(recording, kind.upper(), [place], []) for place in free[:1])
