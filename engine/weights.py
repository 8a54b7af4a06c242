"""Published weights by name: fetched once, checked, converted once to safetensors, loaded.

`weights/manifest.json` holds the facts. `preprocess.fetch.transfer` reads `https:` and `file:`
addresses alike, so mirrors and copies carried by hand take the same way through the same checks.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from engine.checkpoint import load_weights, read_foreign, save_weights
from models import published
from preprocess.fetch.transfer import (
    DownloadError,
    RemoteFile,
    Unreachable,
    check,
    download,
    hexdigest,
)

FOLDER = Path(__file__).resolve().parents[1] / "weights"


class WeightError(ValueError):
    """Weights cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Weights:
    """One entry of the manifest.

    Parameters
    ----------
    name : str
        As on the command line.
    filename : str
        Name of the file; lies in `weights/` itself when there is neither `address` nor `by_hand`.
    sha256, size : str, int or None
        Of the file as published; None where the publisher states none.
    licence, source : str
        Terms, and where the weights come from.
    model, config, view : str, dict, str
        Model of the registry, fields of its configuration that shapes do not tell, and the view of
        the signals it wants (empty for models of stages).
    address : str
        Public address of the file; empty when it has to be placed by hand.
    by_hand : str
        How to get a file that has no address.
    task : str
        What they were trained for: `staging`, `apnea`, `hypopnea`.
    normalisation : str
        What is done to the signals after the view; `none` or in words.
    expected : dict
        Numbers that these weights are known to reach.
    beside : sequence of dict
        Other files without which this one cannot be read, in the same folder: `filename`, `sha256`
        and `size` of each.
    extracted : dict
        The same of a file that holds the same tensors in another format, accepted in its place.
    """

    name: str
    filename: str
    sha256: str | None
    size: int | None
    licence: str
    source: str
    model: str
    config: dict[str, Any] = field(default_factory=dict)
    view: str = ""
    task: str = "staging"
    normalisation: str = "none"
    address: str = ""
    by_hand: str = ""
    expected: dict[str, Any] = field(default_factory=dict)
    beside: tuple[dict[str, Any], ...] = ()
    extracted: dict[str, Any] = field(default_factory=dict)

    @property
    def in_tree(self) -> bool:
        """Whether the file is part of the project."""
        return not self.address and not self.by_hand

    @property
    def is_stager(self) -> bool:
        """Whether they tell stages from signals."""
        return bool(self.view) and self.task == "staging"

    @property
    def facts(self) -> dict[str, Any]:
        """What a result should say of the weights it used."""
        named = ("name", "licence", "source", "view", "normalisation", "expected", "sha256")
        return {fact: getattr(self, fact) for fact in named}

    @property
    def path(self) -> Path:
        """Where the file lies once it is there."""
        if self.in_tree:
            return FOLDER / self.filename
        return cache() / (self.name + "".join(Path(self.filename).suffixes))

    @property
    def companions(self) -> list[Weights]:
        """The files beside, each as weights of the same name."""
        return [replace(self, beside=(), extracted={}, **facts) for facts in self.beside]

    @property
    def forms(self) -> list[Weights]:
        """These weights as published, and as extracted from that."""
        if not self.extracted:
            return [self]
        return [self, replace(self, beside=(), extracted={}, **self.extracted)]

    def at(self, address: str) -> RemoteFile:
        """Return the file as it was published, to be found at `address`."""
        sha256 = f"sha256:{self.sha256}" if self.sha256 else ""
        return RemoteFile(self.filename, address, self.size, sha256)

    @property
    def converted(self) -> Path:
        """Where the safetensors file lies once it is converted."""
        return self.path if self.in_tree else cache() / f"{self.name}.safetensors"


def for_classes(name: str, n_classes: int) -> str:
    """Return the weights of the same model for so many classes: `NAME-4` for W L D R if known."""
    other = f"{name}-{n_classes}"
    return other if other in manifest() else name


def cache() -> Path:
    """Return the folder of fetched weights: `weights/cache`, or NIGHTSTACK_WEIGHTS if it is set."""
    return Path(os.environ.get("NIGHTSTACK_WEIGHTS") or FOLDER / "cache")


def manifest() -> dict[str, Weights]:
    """Return every known set of weights by name."""
    rows = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    return {row["name"]: Weights(**row) for row in rows}


def entry(name: str) -> Weights:
    """Return one entry of the manifest.

    Raises
    ------
    WeightError
        If there is none of that name; the message lists the names.
    """
    known = manifest()
    if name not in known:
        raise WeightError(f"no weights {name!r}; there are {', '.join(known)}")
    return known[name]


def get(name: str, source: str = "") -> Path:
    """Return the file of the weights `name`, fetching it if it is not there yet.

    Parameters
    ----------
    name : str
        Entry of the manifest.
    source : str
        Another address, `file:` included, or a path; a folder or an address that ends in `/` is
        completed by the file name.

    Raises
    ------
    WeightError
        If it cannot be fetched or is not the published file; nothing is left behind then.
    """
    weights = entry(name)
    if (placed := _placed(weights)) is not None:
        return placed
    asked = [form for form in weights.forms if source.endswith(Path(form.filename).suffix)]
    form = asked[0] if source and asked else weights
    address = _address(form, source)
    for companion in form.companions:  # first, so that the file itself tells that all is there
        _download(companion, f"{address.rpartition('/')[0]}/{companion.filename}")
    _download(form, address)
    return form.path


def verify(name: str) -> str:
    """Return `good`, `absent`, or the SHA-256 of a file whose publisher states none.

    Raises
    ------
    WeightError
        If the file of the weights `name` is not the published one.
    """
    weights = entry(name)
    if (placed := _placed(weights)) is None:
        return "absent"
    return "good" if weights.sha256 else f"no published hash; SHA-256 is {hexdigest(placed)}"


def convert(name: str) -> Path:
    """Return the weights `name` as our safetensors file, converting the published one once.

    Raises
    ------
    CheckpointError
        If the published file holds code.
    ValueError
        If its tensors are not exactly those of the model.
    """
    weights = entry(name)
    if weights.converted.exists():
        return weights.converted
    state_dict = read_foreign(get(name))
    model = published.load(weights.model, state_dict, **weights.config)
    save_weights(weights.converted, model, weights.facts)
    return weights.converted


def load(name_or_path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Return (model in evaluation mode, card) of weights named in the manifest or in a file.

    Parameters
    ----------
    name_or_path : str or Path
        Entry of the manifest, fetched and converted if need be, or a safetensors file of ours. The
        card of a manifest entry holds its facts too: licence, source, view. SHA-256 is in both.
    """
    path = Path(name_or_path)
    if path.suffix == ".safetensors":
        model, card = load_weights(path)
        return model, card | {"sha256": hexdigest(path)}
    weights = entry(str(name_or_path))
    if weights.in_tree:
        _check(weights, weights.path)
    model, card = load_weights(convert(weights.name))
    return model, card | weights.facts


def _placed(weights: Weights) -> Path | None:
    """Return the file of the weights if it is here, checked with all that belongs to it."""
    for form in weights.forms:
        if form.path.exists():
            for part in (form, *form.companions):
                _check(part, part.path)
            return form.path
    return None


def _address(weights: Weights, source: str) -> str:
    """Return where to fetch from, or say how to place the file by hand."""
    if not source and not weights.address:
        raise WeightError(f"{weights.name}: {weights.by_hand or f'{weights.path} is missing'}")
    if not source:
        return weights.address
    if "://" not in source and not source.startswith("file:"):
        path = Path(source).resolve()
        return (path / weights.filename if path.is_dir() else path).as_uri()
    return source + weights.filename if source.endswith("/") else source


def _download(weights: Weights, address: str) -> None:
    """Fetch what lies at `address`; nothing is left of what is not the published file."""
    from tqdm import tqdm

    with tqdm(
        total=weights.size, unit="B", unit_scale=True, desc=weights.filename, disable=None
    ) as bar:
        try:
            download(
                weights.at(address),
                weights.path,
                progress=lambda n_bytes: bar.update(n_bytes - bar.n),
                keep_part=False,
            )
        except Unreachable as error:
            raise WeightError(
                f"{weights.name}: {error}; on a machine without a network copy {weights.filename} "
                f"here and run: python main_weights.py get {weights.name} --source FILE"
            ) from None
        except DownloadError as error:
            raise WeightError(f"{weights.name}: {error}") from None


def _check(weights: Weights, file: Path) -> None:
    """Refuse a file whose size or SHA-256 is not the published one."""
    try:
        check(weights.at(""), file)
    except DownloadError as error:
        raise WeightError(f"{weights.name}: {error}") from None
