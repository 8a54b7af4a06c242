"""Train a stage language model on scored nights.

    python main_train_slm.py --data ../shared/data --out runs/slm
    python main_train_slm.py --data ../shared/data --out runs/scratch --init "" --lr 1e-3

The run folder gets config.json, env.json, splits/, log.jsonl, last.pt, best.safetensors, best.json,
markov.safetensors (the transition table of the training nights), and results.json: next-stage
scores on people who were not in training, beside tables fitted on the same training nights.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from command_line import dump, parse


@dataclass(frozen=True)
class Config:
    """Train a stage language model on scored nights; no person is on both sides."""

    data: Path = Path("../shared/data")  # folder of the sources, see preprocess/hypnograms.py
    out: Path = Path("runs/slm")  # run folder; one that holds a run is refused without --resume
    sources: tuple[str, ...] = ()  # data sets to read; all when none is named
    init: str = "sleepgpt-shhs-90"  # weights to start from; empty = from scratch
    preset: str = "paper-90"  # size of a model from scratch
    batch_size: int = 48  # blocks per step
    n_passes: int = 16  # runs over the training nights, about 65 steps each
    lr: float = 5e-4  # highest learning rate, as published
    patience: int = 4  # passes without a better validation loss before stopping; 0 = never
    threads: int = 1  # the model is too small to gain from more
    seed: int = 0  # of the split, the blocks and dropout
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto = cuda where there is one
    resume: bool = False  # go on with the run in --out
    dry_run: bool = False  # one source, from scratch, one pass of large batches, all outputs


def main(cfg: Config) -> int:
    """Read, split, train, judge beside the tables, report."""
    import torch

    from engine.log import RunFolder
    from engine.optim import Plan
    from engine.tasks import BlockSource, LanguageTask
    from engine.train import train
    from nights.sequences import part_of, sequences, split_nights
    from nights.splits import write_split
    from preprocess.hypnograms import JUDGED_ELSEWHERE, SOURCES, read_hypnograms

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(cfg.threads)
    sources = ("ucddb",) if cfg.dry_run else cfg.sources or tuple(SOURCES)
    nights = [night.without_long_wake() for night in read_hypnograms(cfg.data, sources)]
    split = split_nights(nights, seed=cfg.seed, test_persons=JUDGED_ELSEWHERE)
    parts = {part: part_of(nights, split, part) for part in ("train", "val", "test")}

    folder = RunFolder(cfg.out, resume=cfg.resume)
    dump(cfg, folder.config)
    write_split(cfg.out, split)
    model = start_model(cfg)
    length = model.config.n_positions
    blocks = BlockSource(parts["train"], length, cfg.batch_size)
    plan = Plan(1 if cfg.dry_run else cfg.n_passes, lr=cfg.lr, patience=cfg.patience)
    card = about(cfg, nights, split)
    val = sequences(parts["val"])
    train(model, LanguageTask(length), blocks, val, plan, folder, seed=cfg.seed, card=card)
    report(cfg, parts, folder, card)
    return 0


def start_model(cfg: Config) -> Any:
    """Return the model to train: published or earlier weights, or drawn from the seed."""
    import torch

    import models
    from engine import weights

    wanted = cfg.device if cfg.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if cfg.init and not cfg.dry_run:
        model, _ = weights.load(cfg.init)
        return model.to(wanted)
    torch.manual_seed(cfg.seed)
    model_class, _ = models.entry("sleepgpt")
    return model_class(models.presets("sleepgpt")[cfg.preset]).to(wanted)


def about(cfg: Config, nights: list, split: Any) -> dict[str, Any]:
    """Return the card of the weights: where they come from and who was in which part."""
    from preprocess.hypnograms import SOURCES

    used = {source: sum(night.source == source for night in nights) for source in SOURCES}
    return {
        "trained_by": "main_train_slm.py",
        "init": cfg.init,
        "objective": "next stage, labels moved by one",
        "sources": [
            {
                "name": name,
                "title": facts[0].title,
                "licence": facts[0].licence,
                "nights": used[name],
            }
            for name, facts in SOURCES.items()
            if used[name]
        ],
        "split": split.folds[0],
        "split_source": split.source,
    }


def report(cfg: Config, parts: dict[str, list], folder: Any, card: dict[str, Any]) -> None:
    """Judge the model, what it started from and the tables on the test people; write and print."""
    from torch import nn

    from engine import weights
    from engine.checkpoint import load_weights, save_weights
    from evaluation.next_stage import next_stage_scores
    from models.transitions import Duration, DurationConfig, Markov, MarkovConfig
    from nights.atomic import write_text
    from nights.sequences import sequences

    fitted = sequences(parts["train"])
    candidates: dict[str, nn.Module] = {
        **{f"markov-{k}": Markov(MarkovConfig(order=k)).fit(fitted) for k in range(6)},
        "duration": Duration(DurationConfig()).fit(fitted),
    }
    save_weights(cfg.out / "markov.safetensors", candidates["markov-1"], {**card, "init": ""})
    if cfg.init and not cfg.dry_run:
        candidates[cfg.init] = weights.load(cfg.init)[0]
    candidates["this run"] = load_weights(folder.best)[0]
    judged = {"all": parts["test"]}
    for night in parts["test"]:
        judged.setdefault(night.source, []).append(night)
    results = {
        name: {group: next_stage_scores(m, sequences(test)) for group, test in judged.items()}
        for name, m in candidates.items()
    }
    write_text(cfg.out / "results.json", json.dumps(results, indent=2) + "\n")
    print(f"{'nats per stage':<18}" + "".join(f"{group:>10}" for group in judged))
    for name, scores in results.items():
        print(f"{name:<18}" + "".join(f"{s['nll']:>10.4f}" for s in scores.values()))


if __name__ == "__main__":
    raise SystemExit(main(parse(Config)))
