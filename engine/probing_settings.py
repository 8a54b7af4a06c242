"""What `main_probe.py` can be told. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.learning_settings import Learning


@dataclass(frozen=True, kw_only=True)
class Probing(Learning):
    """Learn a task from few labels on a pre-trained encoder, tested on people nobody has seen."""

    field: tuple[str, ...] = ()  # KEY=VALUE of the model's configuration: n_blocks=2
    init: str = ""  # weights of main_pretrain.py: a run folder, a .safetensors file, or a name
    task: Literal["staging", "apnea", "hypopnea"] = "staging"  # apnea, hypopnea: in this epoch?
    classes: Literal[5, 4] = 5  # of staging: W N1 N2 N3 R, or W L D R
    # an epoch holds an event of which it has: any part; half: 10 s or half of the event; upstream:
    # the published rule, which loses two thirds of the short events
    event_rule: Literal["half", "any", "upstream"] = "half"
    # probe: a classifier on the frozen encoder; tune: adapters or the last block learn, too, as
    # published; whole: every weight learns
    mode: Literal["probe", "tune", "whole"] = "probe"
    scratch: bool = False  # the same network from drawn weights: what pre-training is compared with
    # epochs that are read together; 1 = none beside, 20 = published, 0 = the night
    context: int = 1
    preset: Literal["paper", "trial"] = "paper"  # length and rates; trial: a processor, minutes
    out: Path = Path("runs/probe")  # run folder; one that holds a run is refused without --resume
    # --- labels
    fractions: tuple[float, ...] = (1.0,)  # of the labels of a fold's persons: 0.01 0.05 0.1 0.5 1
    # person: whole persons as far as the fraction goes, the rest from one more; epoch: any epochs
    label_by: Literal["person", "epoch"] = "person"
    label_seen: bool = False  # take labels also of people the encoder has seen (never tested)
    folds: int = 5  # by person, every person tested once
    fold: tuple[int, ...] = ()  # run these folds only, from 0
    class_weights: Literal["none", "balanced"] | None = None  # in the loss; balanced for events
    headline: Literal["macro_f1", "balanced_accuracy", "kappa", "nll"] | None = None  # chooses
    # --- features
    features: Path | None = None  # embeddings of an earlier --export; default: made under --out
    # only write the embedding of every epoch here, <DATASET>/<rec>.npy float16, and a picture
    export: Path | None = None
    picture: Literal["pca", "tsne", "none"] = "pca"  # of --export, coloured by stage

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.init:
            raise ValueError("--init RUN is wanted: weights of main_pretrain.py")
        if wrong := [f for f in self.fractions if not 0 < f <= 1]:
            raise ValueError(f"--fractions lie above 0 and up to 1, found {wrong[0]:g}")
        if self.scratch and self.mode != "whole":
            raise ValueError(f"--scratch goes with --mode whole, found {self.mode}")
        if self.context < 0:
            raise ValueError(f"--context is a number of epochs, found {self.context}")
