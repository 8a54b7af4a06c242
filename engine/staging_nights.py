"""Which stored nights a stager is trained and judged on: gathered, divided by person, described."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nights.night import NightError, Normalise, read_sidecar
from nights.splits import Fold, Split, draw_folds, draw_split, import_split
from nights.stages import STAGES
from nights.store import night_files
from recordings.views import VIEWS


@dataclass(frozen=True)
class StoredNight:
    """What the sidecar of a night tells before it is opened.

    Parameters
    ----------
    path : Path
        The sidecar.
    name, dataset, part : str
        `<DATASET>/<rec>`, its data set, and cohort or site within it ("" for none).
    person, group : str
        Who slept, and who must stay on one side of a split.
    view : dict
        Name, hash and normalisation.
    samples : dict
        {channel: samples per epoch}.
    counts : tuple of int
        Epochs of W N1 N2 N3 R.
    n_epochs : int
    simulated : bool
        No person slept this night.
    labels : dict
        {label: value}, such as a diagnosis.
    """

    path: Path
    name: str
    dataset: str
    part: str
    person: str
    group: str
    view: dict[str, Any]
    samples: dict[str, int]
    counts: tuple[int, ...]
    n_epochs: int
    simulated: bool
    labels: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> StoredNight:
        """Read the sidecar `path`."""
        known = read_sidecar(path)
        groups = known["groups"].values()
        return cls(
            path=path,
            name=f"{known['dataset']}/{known['rec']}",
            dataset=known["dataset"],
            part=known.get("part", ""),
            person=known["person"],
            group=known["group"],
            view=known["view"],
            samples={c["name"]: g["samples_per_epoch"] for g in groups for c in g["channels"]},
            counts=tuple(known["stage_histogram"].get(stage, 0) for stage in STAGES),
            n_epochs=known["n_epochs"],
            simulated=bool(known.get("simulated", False)),
            labels=dict(known.get("labels", {})),
        )

    def normalise(self, model: Any) -> Normalise:
        """How a model wants the signals of this night; see `normalisation`."""
        name = self.view["name"]
        declared = VIEWS[name].normalise if name in VIEWS else self.view.get("normalise", "none")
        return cast(Normalise, normalisation(model, declared))


def normalisation(model: Any, declared: str) -> str:
    """Return how signals are normalised for a model, in training as in staging.

    As their view declares, with two exceptions, both of wav2sleep. A night is scaled by what was
    recorded, not by zeros behind it; and what a causal model sees must not depend on what is yet to
    come.
    """
    if declared != "z_padded":
        return declared
    causal = getattr(model.config, "causal", "no") != "no"
    return "z_running" if causal else "z_recorded"


def gather(paths: Iterable[Path]) -> list[StoredNight]:
    """Return the nights of stores (`data/psg9`), data sets (`data/psg9/HMC`) and sidecars.

    Raises
    ------
    NightError
        If a path holds no night, or the nights are of several views.
    """
    files: dict[Path, None] = {}
    for path in paths:
        found = list(_files(Path(path)))
        if not found:
            raise NightError(f"{path}: no night in it; a store is wanted, such as data/psg9/HMC")
        files |= dict.fromkeys(found)
    nights = [StoredNight.read(path) for path in files]
    views = {night.view["hash"]: night for night in nights}
    if len(views) > 1:
        told = ", ".join(f"{night.name} {night.view['name']}" for night in views.values())
        raise NightError(f"nights of several views cannot be trained on together: {told}")
    return nights


def usable(
    nights: Sequence[StoredNight], channels: dict[str, int]
) -> tuple[list[StoredNight], dict[str, str]]:
    """Return the scored nights that have one of `channels`, and why each other is left out.

    Parameters
    ----------
    nights : sequence of StoredNight
    channels : dict
        {channel: samples per epoch} that the model reads.

    Raises
    ------
    NightError
        If none is left, or a channel has another rate than the model reads.
    """
    kept, left_out = [], {}
    for night in nights:
        shared = channels.keys() & night.samples.keys()
        if not shared:
            left_out[night.name] = f"has none of {', '.join(channels)}"
        elif not sum(night.counts):
            left_out[night.name] = "nobody scored it"
        else:
            kept.append(night)
        for channel in sorted(shared):
            if night.samples[channel] != channels[channel]:
                raise NightError(
                    f"night {night.name!r}: {channel} has {night.samples[channel]} samples per "
                    f"epoch, the model reads {channels[channel]}: take the view it was made for"
                )
    if not kept:
        there = sorted({channel for night in nights for channel in night.samples})
        raise NightError(
            f"none of the {len(nights)} nights can be used ({next(iter(left_out.values()))}); "
            f"there are: {', '.join(there)}. Name others with --channels"
        )
    return kept, left_out


def drawn(
    nights: Sequence[StoredNight],
    *,
    seed: int,
    val_share: float,
    test_share: float,
    hold_out: Sequence[str] = (),
) -> Split:
    """Divide the persons into train, val and test; every data set is divided alike.

    Parameters
    ----------
    nights : sequence of StoredNight
    seed : int
    val_share, test_share : float
        Shares of the persons; with `hold_out` there is no test share.
    hold_out : sequence of str
        Data sets, or parts of one (`SHHS-2`), that are tested and on which nothing is trained; nor
        on other nights of the people in them.

    Raises
    ------
    ValueError
        If a name of `hold_out` is that of no night, or nothing is left to train on.
    """
    names = {name for night in nights for name in (night.dataset, night.part) if name}
    if unknown := sorted(set(hold_out) - names):
        raise ValueError(f"no nights of {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    tested = [night for night in nights if {night.dataset, night.part} & set(hold_out)]
    persons = {night.group for night in tested}
    rest = [night for night in nights if night.group not in persons]
    if not rest:
        raise ValueError(f"nothing is left to train on beside {', '.join(hold_out)}")
    shares = {"train": 1 - val_share - test_share, "val": val_share, "test": test_share}
    if hold_out:
        shares = {"train": 1 - val_share, "val": val_share}
    sources = {night.name: night.dataset for night in rest}
    (fold,) = draw_split("drawn", groups_of(rest), shares, seed=seed, labels=sources).folds
    told = f"drawn by person within every data set, seed {seed}, shares {shares}"
    if hold_out:
        fold["test"] = tuple(sorted(night.name for night in tested))
        told += f"; held out: {', '.join(hold_out)}"
    return import_split("drawn", [fold], groups_of(nights), source=told)


def drawn_folds(
    nights: Sequence[StoredNight], n_folds: int, *, seed: int, val_share: float, label: str = ""
) -> Split:
    """Divide the persons into folds, every one tested once, each value of a label alike.

    Raises
    ------
    ValueError
        If a night lacks the label.
    """
    labels = None
    if label:
        lacking = [night.name for night in nights if label not in night.labels]
        if lacking:
            listed = ", ".join(sorted({name for night in nights for name in night.labels}))
            raise ValueError(f"night {lacking[0]!r} has no label {label!r}; there are: {listed}")
        labels = {night.name: night.labels[label] for night in nights}
    groups = groups_of(nights)
    return draw_folds("folds", groups, n_folds, seed=seed, val_share=val_share, labels=labels)


def stored_split(nights: Sequence[StoredNight], name: str) -> Split:
    """Return a split from a file, or from `splits/<name>.json` of the store, on these nights.

    Nights of the split that are not among `nights` are left out.

    Raises
    ------
    ValueError
        If there is no such file.
    SplitError
        If it puts a person on two sides and does not say so.
    """
    path = Path(name)
    if path.suffix != ".json":
        path = nights[0].path.parents[1] / "splits" / f"{name}.json"
    if not path.is_file():
        raise ValueError(f"{path}: no such split; draw one with main_preprocess.py splits")
    content = json.loads(path.read_text(encoding="utf-8"))
    known = {night.name for night in nights}
    folds = [
        {part: [name for name in names if name in known] for part, names in fold.items()}
        for fold in content["folds"]
    ]
    return import_split(
        content["name"],
        folds,
        groups_of(nights),
        source=content["source"],
        accept_leaks=bool(content["accepted"]),
    )


def asked_folds(split: Split, asked: Sequence[int]) -> list[int]:
    """Return the numbers of the folds of a split to run: those asked for, or all of them.

    Raises
    ------
    ValueError
        If the split has no such fold.
    """
    n_folds = len(split.folds)
    if wrong := [number for number in asked if not 0 <= number < n_folds]:
        raise ValueError(f"--fold {wrong[0]}: the split has folds 0 to {n_folds - 1}")
    return list(asked) or list(range(n_folds))


def parts_of(nights: Sequence[StoredNight], fold: Fold) -> dict[str, list[StoredNight]]:
    """Return the nights of train, val and test.

    Raises
    ------
    ValueError
        If one of train and val is empty.
    """
    by_name = {night.name: night for night in nights}
    parts = {
        part: [by_name[name] for name in fold.get(part, ())] for part in ("train", "val", "test")
    }
    for part in ("train", "val"):
        if not parts[part]:
            persons = len({night.group for night in nights})
            raise ValueError(f"no nights to {part} on: {len(nights)} nights of {persons} persons")
    return parts


def groups_of(nights: Iterable[StoredNight]) -> dict[str, str]:
    """Return {night: person or family}."""
    return {night.name: night.group for night in nights}


def stage_counts(nights: Iterable[StoredNight], n_classes: int = 5) -> list[int]:
    """Return the epochs of every class in these nights; of four, N1 and N2 are one."""
    counts = [sum(column) for column in zip(*(night.counts for night in nights), strict=True)]
    return counts if n_classes == 5 else [counts[0], counts[1] + counts[2], *counts[3:]]


def card_of(
    parts: dict[str, list[StoredNight]],
    split: Split,
    fold: Fold,
    channels: Sequence[str],
    normalise: str,
) -> dict[str, Any]:
    """Return what weights say of the nights they were trained on, and what a stager needs.

    `view` and `view_hash` name the signals, `channels` those that were trained on; `simulated` is
    True where a simulated night took part in training.
    """
    used = [*parts["train"], *parts["val"]]
    view = used[0].view
    return {
        "view": view["name"],
        "view_hash": view["hash"],
        "normalisation": normalise,
        "channels": list(channels),
        "datasets": dict(sorted(Counter(night.dataset for night in parts["train"]).items())),
        "n_nights": {part: len(nights) for part, nights in parts.items()},
        "n_persons": {part: len({n.group for n in nights}) for part, nights in parts.items()},
        "train_epochs": dict(zip(STAGES, stage_counts(parts["train"]), strict=True)),
        "split": {part: list(fold.get(part, ())) for part in parts},
        "split_source": split.source,
        "simulated": any(night.simulated for night in used),
    }


def _files(path: Path) -> Iterable[Path]:
    """Yield the sidecars that a path means."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        return []
    own = sorted(
        file for file in path.glob("*.json") if path.joinpath(f"{file.stem}.lab.npy").exists()
    )
    return own or night_files(path)
