"""Train a stage language model on scored nights.

    python main_train_slm.py --data ../shared/data --out runs/slm
    python main_train_slm.py --data ../shared/data --out runs/scratch --init "" --lr 1e-3

Writes config.json, env.json, split.json, log.jsonl, last.pt, best.safetensors, best.json, the
transition table markov.safetensors, and results.json: the next-stage scores on people who were not
in training, beside tables fitted on the same training nights.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from command_line import dump, parse


@dataclass(frozen=True)
class Config:
    """Train a stage language model on scored nights, people kept apart."""

    data: Path = Path("../shared/data")  # folder of the sources, see preprocess/hypnograms.py
    out: Path = Path("runs/slm")  # run folder; one that holds a run is refused without --resume
    sources: tuple[str, ...] = (  # data sets to read
        *("boas", "dod", "sleepedf", "ucddb"),
        *("cap", "surrey", "eesm17", "slpdb"),
    )
    init: str = "sleepgpt-shhs-90"  # weights to start from; empty = from scratch
    preset: str = "paper-90"  # size when from scratch
    batch_size: int = 48  # blocks per step
    n_passes: int = 16  # runs over the training nights
    lr: float = 5e-4  # highest learning rate, as published
    patience: int = 4  # passes without a better validation loss before stopping
    threads: int = 1  # the model is too small to gain from more
    seed: int = 0  # of the split, the blocks and dropout
    device: Literal["auto", "cpu", "cuda"] = "auto"
    resume: bool = False  # go on with the run in --out
    dry_run: bool = False  # two batches of one small source, all outputs written


def main(cfg: Config) -> int:
    """Read, split, train, compare with tables, report."""
    import torch

    from engine.log import RunFolder
    from nights.sequences import PARTS, sequences
    from preprocess.hypnograms import JUDGED_ELSEWHERE, read_nights, split

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(cfg.threads)
    nights = read_nights(cfg.data, ("ucddb",) if cfg.dry_run else cfg.sources)
    parts = split(nights, cfg.seed, JUDGED_ELSEWHERE)
    folder = RunFolder(cfg.out, resume=cfg.resume)
    dump(cfg, folder.config)
    ...
