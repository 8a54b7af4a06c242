"""Commands of the pages that do not run as they stand: why, and what is typed in their place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.makers import doc_material


@dataclass(frozen=True)
class Otherwise:
    """Commands that do not run as they stand.

    Parameters
    ----------
    told : str
        Regular expression of the whole command; the first that fits counts.
    why : str
    typed : str
        What is typed in its place, `{}` for the command, `\\1` for groups of `told`; nothing is run
        where it is empty.
    needs : tuple of str
        Paths it needs without naming them, of `doc_material.GIVEN`.
    swap : tuple of (str, str)
        Texts of the command that are changed first.
    status : int
        How it must end.
    """

    told: str
    why: str
    typed: str = ""
    needs: tuple[str, ...] = ()
    swap: tuple[tuple[str, str], ...] = ()
    status: int = 0


DAYS = "days of a GPU: two steps on the shortest nights, all outputs"
STAND_INS = "licensed nights: simulated ones under the name of the data set"


def stores(view: str) -> tuple[str, ...]:
    """Return the stand-ins of a view."""
    return tuple(f"data/{view}/{name}" for name in doc_material.STORES[view])


TABLE = (
    # --- not run
    Otherwise(r"pip install -r .*", "the network: the file named is read by the test below"),
    Otherwise(r"bash test\.sh.*", "this very suite"),
    Otherwise(r"bash demo\.sh$", "installs; test_readme.py runs it where nothing is to install"),
    Otherwise(r"ray start .*", "wants a cluster: test_preprocess_ray_cluster.py has one"),
    Otherwise(r"python main_preprocess\.py run SHHS .* --ray auto", "a Ray cluster, as above"),
    Otherwise(r"python main_preprocess\.py get .*", "the network: its flags are parsed"),
    Otherwise(r"read -rs NSRR_TOKEN .*(\n.*)*", "a token and the network: the flags are parsed"),
    # --- run otherwise
    Otherwise(
        r"mkdir -p logs\n(RUN=\S+) (sbatch train\.slurm .*)",
        "a scheduler and GPUs: `sbatch` runs the script of the page here, two steps",
        r"mkdir -p logs; \1 \2 --dry-run",
        ("data/psg9/Simulated",),
        swap=(("/shared/", "shared/"),),
    ),
    Otherwise(
        r"mkdir -p logs\nexport DATASET(.*\n?)*",
        "a scheduler: `sbatch` runs the script of the page here",
        "{}",
        ("shared/raw/shhs",),
        swap=(("/shared/", "shared/"),),
    ),
    Otherwise(
        r"(python (?:main_preprocess\.py run (?:HMC|MASS)|-m preprocess\.hmc) .*?)( --out data)?",
        "nights of minutes, not all with an ECG: kept apart from those that are trained on",
        r"\1 --out data-in-miniature --skip-errors",
    ),
    Otherwise(
        r"bash demo\.sh my_night\.edf",
        "installs first: the command that it ends with",
        "python main_stage_slm.py my_night.edf --out runs/demo",
    ),
    Otherwise(
        r"python main_weights\.py get (lpsgm-block4|wav2sleep)",
        "the network, or a shared drive",
        "{} --dry-run",
    ),
    Otherwise(
        r"(python main_stage_slm\.py night\.edf) --channel C4=EEG2-A1",
        "a label of somebody's file: one of this file",
        r"\1 --channel C4=C3-M2 --force",
    ),
    Otherwise(
        r"python main_stage_slm\.py folder_of_nights --strict",
        "quarter hours are distrusted, as the flag wants it told",
        "{} --out runs/strict",
        status=1,
    ),
    Otherwise(
        r"(python main_stage_slm\.py night\.edf --events) runs/.*",
        "weights of a quarter of an hour of training: those that ship",
        r"\1 apnea-small-simulated --out runs/stage-$RANDOM",
    ),
    Otherwise(
        r"python main_stage_slm\.py night\.edf( .*)?",
        "each keeps its own results: a rerun would skip the night",
        "{} --out runs/stage-$RANDOM",
    ),
    Otherwise(
        r"bash train\.sh simulated( && bash train\.sh trial-lpsgm)?",
        "a minute: six people instead of sixteen, 24 minutes each; two steps",
        f"NIGHTS={doc_material.N_PERSONS} HOURS={doc_material.HOURS} bash train.sh simulated"
        " && bash train.sh trial-lpsgm --dry-run --out runs/trial-$RANDOM",
    ),
    Otherwise(
        r"bash train\.sh simulated-heart",
        "a minute: six people of each laboratory instead of 30",
        f"NIGHTS={doc_material.N_PERSONS} HOURS={doc_material.HOURS} {{}}",
    ),
    Otherwise(
        r"bash train\.sh (language|whole-night|lag2)",
        "minutes: one source, one pass",
        "OUT=runs/language-$RANDOM {} --dry-run",
    ),
    Otherwise(
        r"bash train\.sh (lpsgm|lpsgm-variants)",
        f"{STAND_INS}; {DAYS}",
        "OUT=runs/recipe-$RANDOM {} --dry-run",
        stores("psg9"),
    ),
    Otherwise(
        r"bash train\.sh trial-wav2sleep",
        "five minutes: two steps",
        "{} --dry-run --out runs/heart-$RANDOM",
        ("data/cr/Simulated",),
    ),
    Otherwise(
        r"bash train\.sh (seqsleepnet|e2e-arnn|trial-seqsleepnet)",
        f"{STAND_INS}; {DAYS}",
        "SPLIT=trial OUT=runs/recipe-$RANDOM {} --dry-run",
        ("data/seq3/MASS", "data/seq3/Simulated", "data/seq3/splits/trial.json"),
    ),
    Otherwise(
        r"bash train\.sh tinysleepnet",
        f"{DAYS}; the simulated nights have no Fpz-Cz",
        "OUT=runs/recipe-$RANDOM {} --dry-run --channels C4",
        ("data/bb100/SleepEDF", "data/bb100/splits/sleepedf20.json"),
    ),
    Otherwise(
        r"bash finetune\.sh lpsgm",
        f"{STAND_INS}; {DAYS}",
        "INIT=runs/lpsgm/best.safetensors OUT=runs/tuned-$RANDOM {} --dry-run",
        ("data/psg9/HANG7", "runs/lpsgm/best.safetensors"),
    ),
    Otherwise(
        r"bash finetune\.sh seqsleepnet",
        DAYS,
        "OUT=runs/tuned-$RANDOM {} --dry-run",
        ("data/seq3/SleepEDF",),
    ),
    Otherwise(
        r"((?:python|torchrun .*) main_(?:train|finetune)\.py (?!.*(?:tutorial|band-power)).*?)"
        r"( --out \S+)?( --accumulate 1)?( --resume)?",
        f"{STAND_INS}; {DAYS}; one process for torchrun, since tests/learning/ proves several",
        r"\1\3 --dry-run --out runs/train-$RANDOM",
        ("data/seq3/splits/trial.json",),
        swap=(
            ("--node-rank NUMBER", "--node-rank 0"),
            ("--split mass20", "--split trial"),
            ("--find-batch", "--find-batch --memory-mb 4000"),  # wanted where there is no GPU
        ),
    ),
    Otherwise(
        r"bash diagnose\.sh (mnc|open)",
        f"{STAND_INS}; hours: two folds, one pass",
        "OUT=runs/diagnose-$RANDOM BACKBONE=runs/lpsgm/best.safetensors {} --dry-run",
        ("data/psg9/MNC", "runs/lpsgm/best.safetensors"),
    ),
    Otherwise(
        r"python main_diagnose_cv\.py --question .*",
        "minutes: two folds, one pass",
        "{} --dry-run --out runs/diagnose-$RANDOM",
    ),
    Otherwise(
        r"python main_diagnose_cv\.py --labels .*",
        "minutes: two folds, one pass",
        "{} --dry-run",
    ),
    Otherwise(
        r"bash pretrain\.sh simulated && bash pretrain\.sh trial",
        "minutes: 24 minutes each, two steps, in folders without other laboratories",
        "export RAW=raw-own STORE=data-own OUT=runs/own-$RANDOM N=12 HOURS=0.4; "
        "bash pretrain.sh simulated && bash pretrain.sh trial --dry-run",
    ),
    Otherwise(
        r"N=36 bash pretrain\.sh simulated && bash pretrain\.sh respiration",
        "a quarter of an hour: twelve people, 24 minutes each, two steps",
        "export RAW=raw-own STORE=data-own OUT=runs/own-$RANDOM N=12 HOURS=0.4; "
        "bash pretrain.sh simulated && bash pretrain.sh respiration --dry-run",
    ),
    Otherwise(
        r"bash pretrain\.sh (unimodal|multimodal|probe)",
        f"{STAND_INS}; {DAYS}; the networks of 72 million weights would take minutes even so: "
        "`trial` goes through the same programs, tests/scripts/test_main_pretrain.py too",
    ),
    Otherwise(
        r"(python main_evaluate\.py scorers \.\./shared/data/real/dod/dod\.npz) --predictions .*",
        "the reader's stager on the 50 nights: one that says what the first scorer says",
        r"\1 --predictions ours-on-dod.npz",
        ("ours-on-dod.npz",),
    ),
    Otherwise(
        r"python -m benchmarks\.train",
        "an hour: one stager, once",
        "{} --stagers tinysleepnet-cnn --repeat 1",
    ),
    Otherwise(
        r"python -m benchmarks\.stagers_on_simulated .*",
        "a quarter of an hour: one stager for a second",
        "{} --stagers tinysleepnet-cnn --cpu-seconds 1 --out runs/stagers",
        ("data/psg9/Simulated", "data/seq3/Simulated", "data/bb100/Simulated", "data/cr/Simulated"),
    ),
    Otherwise(
        r"python -m benchmarks\.slpdb_staging .*",
        "ten minutes; tests/scripts/test_cardiostage_main_train.py runs its pieces",
    ),
    Otherwise(
        r"python -m staging\.streaming .*",
        "waits for a file that grows: the first ten minutes of what is there",
        "{} --dry-run",
    ),
    Otherwise(
        r"python app\.py",
        "serves until it is stopped, on a port that may be taken",
        "{} --dry-run --port 0",
    ),
    Otherwise(
        r"python main_explain\.py night\.edf .*",
        "a minute each: two epochs of ten minutes",
        "{} --dry-run --out runs/explain-$RANDOM",
        swap=(("120 200-210", "12 15-16"),),
    ),
    Otherwise(
        r"bash reproduce\.sh seqsleepnet mass --print",
        "prints what it would run: as it stands, with folders that are free",
        "RAW=raw-none STORE=none {}",
    ),
)


def rule_of(command: str) -> Otherwise | None:
    """Return the line of the table that speaks of a command."""
    return next((rule for rule in TABLE if re.fullmatch(rule.told, command)), None)


def typed_for(command: str) -> str:
    """Return what is typed for a command; nothing where it cannot run."""
    rule = rule_of(command)
    if rule is None:
        return command
    found = re.fullmatch(rule.told, command)
    typed = found.expand(rule.typed).replace("{}", command) if found else ""
    for old, new in rule.swap:
        typed = typed.replace(old, new)
    return typed
