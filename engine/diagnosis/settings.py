"""What `main_diagnose_cv.py` and `main_diagnose_eval.py` can be told.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

EncoderName = Literal[
    "htn",
    "htn-pooled",
    "htn-every-epoch",
    "htn-lstm",
    "htn-lstm-pooled",
    "segments",
    "lpsgm",
    "lpsgm-logistic",
    "features-logistic",
    "features-trees",
    "statistics-logistic",
    "statistics-trees",
    "person",
    "length",
]


@dataclass(frozen=True, kw_only=True)
class Nights:
    """Which nights, and what is asked of them."""

    # cap cap-groups mnc mnc-nt1 mnc-abnormal apples-osa apples-depression isruc hang7
    # hang7-narcolepsy sysu-depression (with --nights); dod-apnea boas-age (with --data);
    # simulated-narcolepsy simulated-insomnia simulated-nothing; or a table by --labels
    question: str = "simulated-narcolepsy"
    # night stores, such as data/psg9/MNC; with --labels scoring files or folders of them, too
    nights: tuple[Path, ...] = ()
    labels: Path | None = None  # CSV: night or person, label; optional age, sex, cohort
    classes: tuple[str, ...] = ()  # of --labels: NAME=VALUE,VALUE in order, * = all others
    merge_NT1: bool = False  # of mnc: narcolepsy type 1 against all others, as mnc-nt1
    data: Path = Path("../shared/data")  # folder of the open hypnograms
    persons: int = 80  # simulated people, every second one ill
    strength: float = 1.0  # of the simulated disorder; 1 as in the literature
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto = cuda where there is one
    threads: int = 1
    seed: int = 0  # of folds, weights, batches, draws of persons, simulated people

    def __post_init__(self) -> None:
        if self.merge_NT1 and self.question != "mnc":
            raise ValueError(f"--merge-NT1 goes with --question mnc, not {self.question}")


@dataclass(frozen=True, kw_only=True)
class CrossValidation(Nights):
    """Diagnose from nights, cross-validated by person: encoders side by side, one protocol.

    Examples:
      python main_diagnose_cv.py --question simulated-narcolepsy
      python main_diagnose_cv.py --question dod-apnea --encoders htn statistics-logistic
      python main_diagnose_cv.py --question mnc --merge_NT1 --nights data/psg9/MNC --encoders lpsgm
    """

    encoders: tuple[EncoderName, ...] = (
        "htn",
        "htn-lstm",
        "statistics-logistic",
        "statistics-trees",
        "person",
        "length",
    )
    out: Path = Path("runs/diagnose")  # gets results.json, summary.html, predictions.csv, folds
    folds: int = 5  # random, by person, each class of each cohort divided alike
    repeats: int = 1  # of the random folds, each drawn anew
    val_share: float = 0.25  # of the persons not tested: they choose settings, pass and threshold
    leave_cohorts_out: bool = True  # also test each cohort by models of the others
    explain: int = 2  # nights of each network whose decision is explained; 0 = none
    # --- networks over hypnograms: htn*, segments
    init: str = "sleepgpt-shhs-60"  # stage language model to begin from; empty = random weights
    mode: Literal["full", "frozen"] = "full"  # frozen: the language model reads each night once
    n_passes: int = 40  # runs over the training nights, fewer if validation stops falling
    patience: int = 10  # passes without a better validation; 0 = never stop
    lr: float = 1e-3  # highest learning rate
    batch_size: int = 16  # nights
    loss: Literal["focal", "entropy"] = "focal"  # focal as published
    as_published: bool = False  # SleepGPT's recipe: 100 passes, rate 5e-5, no stopping
    # --- networks over signals: lpsgm, lpsgm-logistic
    backbone: str = ""  # weights of an LPSGM stager, by name or file
    backbone_mode: Literal["frozen", "full"] = "frozen"  # frozen: each night is encoded once
    # pooled: loss of the window's mean feature; epochwise: of each of its 20 epochs
    head: Literal["pooled", "epochwise"] = "pooled"
    joint: float = 0.0  # weight of the staging loss beside that of the diagnosis; needs full
    stride: int = 5  # epochs from one window to the next
    backbone_passes: int = 5  # runs over the windows
    backbone_lr: float = 0.0  # of the head; 0: 1e-4 pooled, 1e-3 epochwise; backbone a hundredth
    backbone_batch: int = 32  # windows
    # --- features of any pre-trained model
    features: Path | None = None  # folder of <DATASET>/<rec>.npy, (E, D) or (D,) a night
    resume: bool = False  # keep the folds that are done
    dry_run: bool = False  # two folds, one pass, all outputs

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.joint and self.backbone_mode != "full":
            raise ValueError("--joint trains the backbone, too: it goes with --backbone-mode full")
        reads_features = any(name.startswith("features") for name in self.encoders)
        if reads_features and self.features is None:
            raise ValueError("--features DIR is wanted: the files of a pre-trained model")
        if len(set(self.encoders)) < len(self.encoders):
            raise ValueError(f"an encoder stands twice: {' '.join(self.encoders)}")


@dataclass(frozen=True, kw_only=True)
class External(Nights):
    """Judge what was trained by `main_diagnose_cv.py` on nights of another place.

    The models of all folds are asked and their probabilities averaged; thresholds are the mean of
    those their validation persons chose. Nothing is fitted or chosen here.

    Examples:
      python main_diagnose_eval.py --run runs/mnc --question hang7-narcolepsy \\
          --nights data/psg9/HANG7
    """

    run: Path = Path("runs/diagnose")  # folder of main_diagnose_cv.py
    encoders: tuple[EncoderName, ...] = ()  # of those in the run; all by default
    features: Path | None = None  # as trained: the files of these nights
    out: Path = Path("runs/diagnose_eval")
    dry_run: bool = False  # the models of the first fold alone
