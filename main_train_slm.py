"""Train a stage language model on scored nights.

    python main_train_slm.py --data ../shared/data --out runs/slm
    python main_train_slm.py --nights my/scorings annotations.txt --out runs/own
    python main_train_slm.py --data ../shared/data --out runs/scratch --init "" --lr 1e-3

The run folder gets config.json, env.json, splits/, log.jsonl, last.pt, best.safetensors, best.json,
the tables fitted on the same training nights (markov-1.safetensors, markov-5.safetensors,
duration.safetensors), annotations.txt (the training nights as SleepGPT's scripts read them),
results.json and sampled.png: next-stage scores on people who were not in training, beside the
tables, and statistics of whole nights drawn from the model beside those of real ones.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from command_line import dump, run


@dataclass(frozen=True)
class Config:
    """Train a stage language model on scored nights; no person is on both sides."""

    data: Path = Path("../shared/data")  # folder of the open sources, see preprocess/hypnograms.py
    sources: tuple[str, ...] = ()  # of the open sources, those to read; all when none is named
    # your own nights instead: night stores, scoring files or folders of them, annotations.txt
    nights: tuple[Path, ...] = ()
    person_letters: int = 0  # letters of a scoring file's name that name the person; 0 = all
    classes: Literal[5, 4] = 5  # 5: W N1 N2 N3 R; 4: W L D R
    trim_wake: bool = True  # leave out wake further than 30 minutes from sleep
    out: Path = Path("runs/slm")  # run folder; one that holds a run is refused without --resume
    init: str = "sleepgpt-shhs-90"  # weights to start from; empty = from scratch
    # from scratch: paper-60, paper-90, paper-120, script-default, whole-night; night = the size of
    # --init or of paper-90, and all that the night has been so far
    preset: str = "paper-90"
    context: int = 0  # epochs the model sees; 0 = as --init or the preset; 1200 = a whole night
    conditions: tuple[str, ...] = ()  # with night: lights_off_h age sex, where the data tell them
    dropout: float = 0.0  # 0.1 as published: a third of the speed on a CPU
    batch_size: int = 48  # blocks per step; 4 for blocks of a whole night
    n_passes: int = 8  # runs over the training nights, about 65 steps each
    lr: float = 5e-4  # highest learning rate, as published
    weight_decay: float = 5e-4  # as published; 0.1 suits night
    fresh_factor: float = 6.0  # with night: times lr, for the network behind the language model
    schedule: Literal["smooth", "cos", "step"] = "smooth"  # cos, step: per pass, as published
    patience: int = 4  # passes without a better validation loss before stopping; 0 = never
    lag2: bool = False  # move the labels twice, as the published training did: to compare with it
    samples: int = 50  # nights to draw from the model for sampled.png; 0 = none
    threads: int = 1  # the model is too small to gain from more
    seed: int = 0  # of the split, the blocks and dropout
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto = cuda where there is one
    resume: bool = False  # go on with the run in --out
    dry_run: bool = False  # one source, from scratch, one pass of large batches, all outputs


def main(cfg: Config) -> int:
    """Read, split, train, judge beside the tables, report."""
    import torch

    from engine.distributed import device_of
    from engine.language import Start, about, build
    from engine.log import RunFolder
    from engine.optim import Plan
    from engine.tasks import BlockSource, LanguageTask
    from engine.train import train
    from nights.sequences import part_of, split_nights
    from nights.splits import write_split
    from preprocess.corpus import write_annotations
    from preprocess.hypnograms import judged_elsewhere

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(cfg.threads)
    nights, sources = read(cfg)
    split = split_nights(nights, seed=cfg.seed, test_persons=judged_elsewhere(nights))
    parts = {part: part_of(nights, split, part) for part in ("train", "val", "test")}

    folder = RunFolder(cfg.out, resume=cfg.resume)
    dump(cfg, folder.config)
    write_split(cfg.out, split)
    write_annotations(cfg.out / "annotations.txt", parts["train"])
    init = "" if cfg.dry_run else cfg.init
    start = Start(init, cfg.preset, cfg.context, cfg.classes, cfg.dropout, cfg.conditions)
    model: Any = build(start, cfg.seed).to(device_of(cfg.device))
    length = model.config.n_positions
    describe = getattr(model, "describe", None)
    blocks = BlockSource(parts["train"], length, cfg.batch_size, describe=describe)
    n_passes = 1 if cfg.dry_run else cfg.n_passes
    plan = Plan(
        n_passes,
        lr=cfg.lr,
        weight_decay=cfg.weight_decay,
        patience=cfg.patience,
        schedule=cfg.schedule,
        fresh_factor=cfg.fresh_factor,
    )
    card = {"init": init, "lag": 2 if cfg.lag2 else 1, **about(nights, parts, split, sources)}
    task = LanguageTask(length, cfg.lag2)
    train(model, task, blocks, parts["val"], plan, folder, seed=cfg.seed, card=card)
    report(cfg, parts, card)
    return 0


def read(cfg: Config) -> tuple[list, list[dict[str, Any]]]:
    """Return the nights and what is to be said of their sources."""
    from preprocess.corpus import gather, in_classes
    from preprocess.hypnograms import SOURCES, facts, read_hypnograms

    if cfg.nights:
        letters = cfg.person_letters or None
        nights = gather(cfg.nights, person=lambda file: file.name[:letters])
    else:
        wanted = ("ucddb",) if cfg.dry_run else cfg.sources or tuple(SOURCES)
        nights = read_hypnograms(cfg.data, wanted)
    if cfg.trim_wake:
        nights = [night.without_long_wake() for night in nights]
    return in_classes(nights, cfg.classes), facts(nights)


def report(cfg: Config, parts: dict[str, list], card: dict[str, Any]) -> None:
    """Judge the model, what it started from and the tables on the test people; write and print."""
    from engine import weights
    from engine.checkpoint import load_weights, save_weights
    from engine.language import tables
    from evaluation.next_stage import judge_by_source, printed
    from evaluation.sampling import write_sampled
    from nights.atomic import write_text

    candidates = tables(parts["train"], cfg.classes)
    for name in ("markov-1", "markov-5", "duration"):
        save_weights(cfg.out / f"{name}.safetensors", candidates[name], {**card, "init": ""})
    if card["init"] and cfg.classes == 5:
        candidates[cfg.init] = weights.load(cfg.init)[0]
    candidates["this run"] = load_weights(cfg.out / "best.safetensors")[0]
    stride = 30 if cfg.dry_run else 6
    results = judge_by_source(candidates, parts["test"], stride=stride)
    write_text(cfg.out / "results.json", json.dumps(results, indent=2) + "\n")
    print(printed(results))
    if cfg.samples:
        n_nights, n_epochs = (2, 60) if cfg.dry_run else (cfg.samples, 800)
        this, real = candidates["this run"], parts["test"]
        write_sampled(cfg.out, this, real, n_nights=n_nights, n_epochs=n_epochs, seed=cfg.seed)


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
