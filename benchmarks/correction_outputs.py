"""Real stagers' outputs of scored nights from the shared material, as files anyone could bring.

Each becomes an NPZ file in the form that `main_evaluate.py correction` reads.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.outputs import NightOutput, write_outputs
from nights.stages import UNSCORED
from preprocess.hypnograms import consensus

BOAS_CODES = np.array([0, 1, 2, 3, 4, -1, -1, -1, -1])  # 8: not staged
HEADS = {"previous": 0, "middle": 1, "next": 2}  # the epoch each head speaks of


def sleepedf20(data: Path, folder: Path) -> dict[str, Path]:
    """Return the 1-channel one-to-three DeepCNN: its middle head, and all heads summed and alone.

    Heads are laid on the epoch they speak of, where they come from the epochs around it; `summed`
    is the mean of the three (additive aggregation, Phan et al. 2019).
    """
    with np.load(data / "sleepedf20_stager_outputs.npz", allow_pickle=False) as file:
        logits = file["logits_deepcnn_1to3_1ch"].astype(np.float64)
        labels, position = file["labels"].astype(np.int8), file["inbed_position"]
        bounds = list(zip(file["record"], file["record_start"], file["record_epochs"], strict=True))
    raised = np.exp(logits - logits.max(axis=2, keepdims=True))
    proba = raised / raised.sum(axis=2, keepdims=True)
    parts: dict[str, list[NightOutput]] = {n: [] for n in (*HEADS, "summed")}
    for record, start, n in bounds:
        piece, place = slice(int(start), int(start) + int(n)), position[start : start + n]
        about: dict[str, Any] = {
            "labels": _placed(labels[piece], place, UNSCORED),
            "night": f"sleepedf/{record[:6]}",
            "person": f"sleepedf/{record[:5]}",
        }
        heads = {name: _placed(proba[k, piece], place, np.nan) for name, k in HEADS.items()}
        heads["previous"] = _moved(heads["previous"], heads["middle"], -1)
        heads["next"] = _moved(heads["next"], heads["middle"], 1)
        for name, said in (heads | {"summed": np.mean(list(heads.values()), axis=0)}).items():
            parts[name].append(NightOutput(**about, proba=said, dataset="sleepedf20"))
    return {n: write_outputs(folder / f"sleepedf20_{n}.npz", nights) for n, nights in parts.items()}


def boas(data: Path, folder: Path) -> dict[str, Path]:
    """Return BOAS's stager on the PSG and on the headband, against the human consensus."""
    root = data / "real" / "boas"
    with (root / "participants.tsv").open(encoding="utf-8") as table:
        person = {r["participant_id"]: r["pid"] for r in csv.DictReader(table, delimiter="\t")}
    parts: dict[str, list[NightOutput]] = {"psg": [], "headband": []}
    for file in sorted(root.glob("sub-*_psg_events.tsv")):
        name = file.name.split("_")[0]
        labels = _boas_column(file, "stage_hum")
        for which, nights in parts.items():
            said = _boas_column(file.with_name(f"{name}_{which}_events.tsv"), "stage_ai")
            night, owner = f"boas/{file.stem}", f"boas/{person[name]}"
            nights.append(NightOutput(night, owner, labels, stages=said, dataset="boas"))
    return {n: write_outputs(folder / f"boas_{n}.npz", nights) for n, nights in parts.items()}


def dod(data: Path, folder: Path) -> dict[str, Path]:
    """Return the six stagers of the Dreem material, both cohorts, against the consensus of five."""
    parts: dict[str, list[NightOutput]] = {}
    with np.load(data / "real" / "dod" / "dod.npz", allow_pickle=False) as file:
        for key in sorted(k for k in file.files if k.endswith("/scorers")):
            night = key.removesuffix("/scorers")
            labels = consensus(file[key])
            cohort, name = night.split("/")[0], f"dod/{night}"  # a night a person
            names = file[f"{cohort}/model_names"]
            for stager, said in zip(names.tolist(), file[f"{night}/models"], strict=True):
                family = stager.split("_")[0]  # "et_Al" in one cohort, "et_al" in the other
                output = NightOutput(name, name, labels, stages=said, dataset=cohort)
                parts.setdefault(family, []).append(output)
    return {n: write_outputs(folder / f"dod_{n}.npz", nights) for n, nights in parts.items()}


def _placed(values: np.ndarray, place: np.ndarray, nothing: float) -> np.ndarray:
    """Put epochs on the clock of the night, so that what was cut out is a gap again."""
    whole = np.full((int(place[-1]) + 1, *values.shape[1:]), nothing, dtype=values.dtype)
    whole[place] = values
    return whole


def _moved(said: np.ndarray, middle: np.ndarray, by: int) -> np.ndarray:
    """Move what a head said by an epoch; beside a gap the middle head speaks for it."""
    moved = np.roll(said, by, axis=0)
    moved[-1 if by < 0 else 0] = np.nan
    alone = ~np.isfinite(moved).all(axis=1)
    moved[alone] = middle[alone]
    moved[~np.isfinite(middle).all(axis=1)] = np.nan
    return moved


def _boas_column(file: Path, column: str) -> np.ndarray:
    """Return one column of an event table as stages; -2 and 8 are no stage."""
    with file.open(encoding="utf-8") as table:
        codes = [int(float(row[column])) for row in csv.DictReader(table, delimiter="\t")]
    return np.array([BOAS_CODES[code] if code >= 0 else UNSCORED for code in codes], dtype=np.int8)
