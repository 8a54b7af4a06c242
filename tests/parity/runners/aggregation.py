"""Overlapping windows: which there are, and how their decisions become one."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from evaluation.metrics import compare, metrics_from
from models.aggregation import Rule, votes
from nights.windows import NightWindows
from tests.makers.nights import make_night
from tests.parity.recipes import Arrays, Meta


def matches(meta: Meta) -> bool:
    """Know the aggregation with its metrics, and the table of windows."""
    about = meta.get("model", "")
    return about.startswith(("aggregation of overlapping", "which epochs start a sample"))


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    lengths = meta["config"]["night_lengths"]
    if "y" in arrays:
        return _fused(lengths, arrays)
    with TemporaryDirectory() as folder:
        return {name: _epochs(Path(folder), name, lengths) for name in arrays}


def _fused(lengths: list[int], arrays: Arrays) -> Arrays:
    """Votes and decisions by both rules, and the metrics of the product."""
    logits = torch.from_numpy(arrays["logits"]).transpose(0, 1)  # (windows of all nights, L, K)
    windows = logits.split([n - logits.shape[1] + 1 for n in lengths])
    rules: tuple[Rule, ...] = ("multiplicative", "additive")
    product, added = (
        np.concatenate([votes(night, rule).numpy() for night in windows]) for rule in rules
    )
    ends = np.cumsum(lengths)[:-1]
    pred = product.argmax(axis=1)
    nights = np.split(arrays["y"], ends), np.split(pred, ends)
    matrix = compare(*nights, n_classes=logits.shape[-1]).confusions.sum(axis=0)
    outputs = {"fused_log": product, "fused_add": added}
    outputs |= {"pred": pred, "pred_add": added.argmax(axis=1), "confusion": matrix}
    return outputs | _metrics(metrics_from(matrix))


def _metrics(found: dict[str, Any]) -> Arrays:
    """Return the overall metrics and those of each class, as the fixture names them."""
    by_class = {
        name: np.array(list(found[f"per_stage_{ours}"].values()))
        for name, ours in (("f1", "f1"), ("sens", "recall"), ("precision", "precision"))
    }
    specificity = list(found["per_stage_specificity"].values())
    overall = [found[name] for name in ("accuracy", "kappa", "macro_f1")]
    overall += [by_class["sens"].mean(), np.mean(specificity)]
    return {f"class_{name}": values for name, values in by_class.items()} | {
        "overall": np.array(overall)
    }


def _epochs(folder: Path, name: str, lengths: list[int]) -> np.ndarray:
    """Return the epoch that stands for each window: its last; the middle one of three; itself."""
    length = {"multitask": 3, "single": 1}.get(name) or int(name.removeprefix("seq_L"))
    place = 1 if name == "multitask" else length - 1
    nights = [
        make_night(folder / name, f"n{number:03}", stages=[2] * n, channels=["C4"])
        for number, n in enumerate(lengths)
    ]
    windows = NightWindows(nights, ["C4"], length, stride=1)
    if not len(windows):
        return np.empty(0, dtype=np.int64)
    begins = dict(zip(range(len(nights)), np.cumsum([0, *lengths]), strict=False))
    batch = windows.__getitems__(range(len(windows)))
    at = [begins[int(night.removeprefix("SET/n"))] for night in batch.nights]
    return np.array(at) + batch.first.numpy() + place
