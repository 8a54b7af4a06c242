"""What every training on stored nights can be told; a setting not given is that of the recipe.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Learning:
    """Nights, length and rates of a training, and the machine it runs on."""

    # night stores or data sets in them, such as data/psg9/HMC; all of one view
    nights: tuple[Path, ...] = ()
    channels: tuple[str, ...] = ()  # channels to read; default: those of the model
    split: str = ""  # splits/NAME.json of the store, or a file; drawn by person when empty
    val_share: float | None = None  # share of the persons that validate, to choose the weights
    # --- learning
    n_passes: int | None = None  # runs over the training nights
    max_steps: int | None = None  # stop after so many steps
    evaluate_every: int | None = None  # steps between validations; 0 = one a pass
    patience: int | None = None  # validations without a better figure before stopping; 0 = never
    batch_size: int | None = None  # windows per batch
    accumulate: int | None = None  # batches per step
    lr: float | None = None  # highest learning rate
    min_lr: float | None = None  # learning rate at the end
    warmup: float | None = None  # share of the steps in which the rate rises
    # of the rate; cos and lpsgm change it from pass to pass, exponential as wav2sleep
    schedule: Literal["smooth", "constant", "cos", "exponential", "lpsgm"] | None = None
    weight_decay: float | None = None  # decay of the weights
    clip: float | None = None  # largest norm of the gradient; 0 = as it comes
    ema: float | None = None  # decay of the running average of the weights; 0 = none
    # --- machine
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of matrix products
    compile: bool = False  # compile the forward pass
    save_every: int | None = None  # steps between two writings of last.pt; 0 = with validations
    workers: int = 0  # processes that read windows ahead
    writers: tuple[str, ...] = ()  # tensorboard mlflow: who else gets the rows of log.jsonl
    threads: int = 1  # of a processor, per process
    seed: int = 0  # of the split, the model, the windows, maskings and dropout
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto = cuda where there is one
    resume: bool = False  # go on with the run in --out
    dry_run: bool = False  # two steps on the shortest nights, all outputs

    def __post_init__(self) -> None:
        if not self.nights:
            raise ValueError("--nights PATH is wanted: night stores, such as data/psg9/HMC")

    @property
    def plan_changes(self) -> dict[str, Any]:
        """Fields of the recipe's plan that were given."""
        names = (
            *("n_passes", "max_steps", "evaluate_every", "patience", "accumulate", "lr"),
            *("min_lr", "warmup", "schedule", "weight_decay", "clip", "ema", "save_every"),
        )
        given = {name: getattr(self, name) for name in names}
        changes = {name: value for name, value in given.items() if value is not None}
        return changes | {"precision": self.precision, "compile": self.compile}
