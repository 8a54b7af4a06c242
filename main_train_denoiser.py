"""Train the generic denoiser: scored nights, artificial stagers, no output of any real one.

    python main_train_denoiser.py --data ../shared/data --out runs/denoiser

The run folder gets config.json, env.json, splits/, log.jsonl, last.pt, best.safetensors, best.json.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command_line import dump, parse


@dataclass(frozen=True)
class Config:
    """Train the generic denoiser on scored nights seen by artificial stagers."""

    data: Path = Path("../shared/data")  # folder of the sources, see preprocess/hypnograms.py
    out: Path = Path("runs/denoiser")  # run folder; one that holds a run is refused
    # BOAS and DOD stay out: real stagers are judged there, and nobody of them may be known
    sources: tuple[str, ...] = ("sleepedf", "ucddb", "cap", "surrey", "eesm17", "slpdb")
    n_stagers: int = 8  # artificial stagers per night
    n_passes: int = 16  # of 100 batches
    batch_size: int = 16  # blocks per batch
    block: int = 128  # epochs per block
    lr: float = 3e-3  # highest learning rate
    ema: float = 0.0  # decay per step of the running average of the weights to keep; 0 = none
    threads: int = 1  # the model is too small to gain from more
    seed: int = 0  # of the split, the noise, the blocks and dropout
    dry_run: bool = False  # one source, one stager a night, one pass, all outputs


def main(cfg: Config) -> int:
    """Read, split by person, spoil, train."""
    import numpy as np
    import torch

    import models
    from engine.denoising import DenoisingTask, JudgedSource
    from engine.log import RunFolder
    from engine.optim import Plan
    from engine.train import train
    from nights.sequences import part_of, split_nights
    from nights.splits import write_split
    from preprocess.hypnograms import JUDGED_ELSEWHERE, read_hypnograms
    from staging.denoiser import spoiled

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)
    sources = ("ucddb",) if cfg.dry_run else cfg.sources
    nights = [night.without_long_wake() for night in read_hypnograms(cfg.data, sources)]
    split = split_nights(nights, seed=cfg.seed, test_persons=JUDGED_ELSEWHERE)
    folder = RunFolder(cfg.out)
    dump(cfg, folder.config)
    write_split(cfg.out, split)
    rng = np.random.default_rng(cfg.seed)
    # The test part is only the people who are judged elsewhere: real stagers are the test
    people = [n for part in ("train", "test") for n in part_of(nights, split, part)]
    taught = spoiled(
        [night for night in people if night.owner not in JUDGED_ELSEWHERE],
        1 if cfg.dry_run else cfg.n_stagers,
        rng,
    )
    held_out = spoiled(part_of(nights, split, "val"), 1, rng)
    n_batches = 2 if cfg.dry_run else 100
    size = {"length": cfg.block, "batch_size": cfg.batch_size, "n_batches": n_batches}
    source = JudgedSource(taught, **size)
    passes = 1 if cfg.dry_run else cfg.n_passes
    plan = Plan(passes, lr=cfg.lr, weight_decay=1e-2, ema=cfg.ema)
    card = about(cfg, nights)
    model = models.create("denoiser")
    train(model, DenoisingTask(), source, held_out, plan, folder, seed=cfg.seed, card=card)
    return 0


def about(cfg: Config, nights: list) -> dict[str, Any]:
    """Return the card of the weights: where they come from and who was not in training."""
    from preprocess.hypnograms import JUDGED_ELSEWHERE, SOURCES

    used = [night for night in nights if night.owner not in JUDGED_ELSEWHERE]
    return {
        "trained_by": "main_train_denoiser.py",
        "objective": "the scored stage from the output of artificial stagers",
        "sources": [
            {
                "name": name,
                "title": facts[0].title,
                "licence": facts[0].licence,
                "nights": sum(night.source == name for night in used),
            }
            for name, facts in SOURCES.items()
            if any(night.source == name for night in used)
        ],
        "persons": sorted({night.owner for night in used}),
        "held_out": list(JUDGED_ELSEWHERE),
        "seed": cfg.seed,
    }


if __name__ == "__main__":
    raise SystemExit(main(parse(Config)))
