"""What `main_train.py` and `main_finetune.py` can be told, beside what each adds of its own.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.learning_settings import Learning


@dataclass(frozen=True, kw_only=True)
class Settings(Learning):
    """Train a stager; a setting that is not given is that of the recipe (engine/recipes.py)."""

    trim_minutes: float = 0.0  # leave out wake farther than this from sleep; 0 = keep all
    # --- learning
    find_batch: bool = False  # the largest batch that fits; as many of them as make the one wanted
    memory_mb: float = 0.0  # with --find-batch: limit, needed on a CPU; 0 = all of a GPU
    warmup_steps: int | None = None  # steps in which the rate rises, instead of a share
    decay_steps: float | None = None  # exponential: steps in which the rate falls by a factor e
    class_weights: Literal["none", "balanced"] | None = None  # in the loss
    headline: Literal["kappa", "accuracy", "macro_f1", "nll"] | None = None  # chooses the weights
    validate: Literal["windows", "nights"] | None = None  # windows side by side, or nights as used
    # --- windows
    # epochs of a training window, for models that take any number; 0 = whole nights
    window: int | None = None
    balance: float = 0.0  # 0: every window counts alike, 1: every data set does
    # train on changing channels; wav2sleep: its probability for each signal
    channel_draw: Literal["none", "crop", "drop", "wav2sleep"] | None = None
    shift_s: float | None = None  # shift windows in time, standard deviation in seconds
    gain: float | None = None  # scale channels, standard deviation of the log of the factor
    swap: float | None = None  # probability to exchange left and right leads
    flip: float | None = None  # probability to turn a channel over

    @property
    def plan_changes(self) -> dict[str, Any]:
        """Fields of the recipe's plan that were given."""
        own = {"warmup_steps": self.warmup_steps, "decay_steps": self.decay_steps}
        return super().plan_changes | {n: value for n, value in own.items() if value is not None}

    @property
    def recipe_changes(self) -> dict[str, Any]:
        """Fields of the recipe that were given, the plan apart."""
        names = (
            *("batch_size", "class_weights", "headline", "validate", "window", "channel_draw"),
            *("shift_s", "gain", "swap", "flip", "val_share"),
        )
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def trim_epochs(self) -> int | None:
        """Epochs of wake to keep around sleep, None for all."""
        return round(2 * self.trim_minutes) if self.trim_minutes else None


@dataclass(frozen=True, kw_only=True)
class Training(Settings):
    """Train a stager from scratch; what is not given is as the recipe says (engine/recipes.py)."""

    model: str = "lpsgm"  # a stager of the registry
    # paper, script (where a paper's code differs), trial (a processor, minutes), or a preset of the
    # model, such as paper-10 of seqsleepnet
    preset: str = "paper"
    field: tuple[str, ...] = ()  # KEY=VALUE of the model's configuration: architecture=cat_avg
    classes: Literal[5, 4] | None = None  # 5: W N1 N2 N3 R; 4: W L D R; default: as the preset
    init: str = ""  # weights of the first step, of a model that is trained in two (deepsleepnet)
    out: Path = Path("runs/train")  # run folder; one that holds a run is refused without --resume
    # --- who is trained and tested on
    fold: tuple[int, ...] = ()  # of a split with folds, those to run, from 0; all by default
    # data sets, or parts of one such as SHHS-2, that are tested and never trained on
    hold_out: tuple[str, ...] = ()
    test_share: float = 0.1  # share of the persons tested; with --hold-out nobody else is
    # stage the test nights from every subset of their signals too: subsets.npz, for
    # main_evaluate.py staging
    subsets: bool = False


@dataclass(frozen=True, kw_only=True)
class Tuning(Settings):
    """Tune weights to a centre; what is not given is as the recipe says (engine/recipes.py)."""

    init: str = ""  # weights by name (main_weights.py list) or a .safetensors file
    # which parts are trained: all; head (softmax only); sequence, epoch (each with the head) where
    # the model has them
    mode: str = "all"
    out: Path = Path("runs/finetune")  # gets config.json, results.json and a folder for each fold
    folds: int = 5  # by person, every person tested once
    fold: tuple[int, ...] = ()  # run these folds only, from 0
    label: str = ""  # divide each value of this label alike, such as a diagnosis

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.init:
            raise ValueError("--init NAME|FILE is wanted: the weights to begin with")
