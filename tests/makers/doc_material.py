"""What the pages take for granted, in miniature: a recording, scorings, outputs, stores, weights.

`GIVEN` is the list: {path that a page names: how it is made}. Data sets that are licensed are stood
in for by simulated nights under their name, published weights that lie on shared drives by the
networks with weights as drawn. Nothing else is made beforehand.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.makers.scoring_text import nsrr_xml

N_PERSONS, HOURS = 6, 0.4
N_CASES = 16
STORES = {  # the data sets that pages and recipes name, by view
    "psg9": ("HANG7", "SYSU", "MESA", "MASS", "MNC", "SHHS"),
    "seq3": ("MASS", "SleepEDF"),
    "bb100": ("SleepEDF",),
    "cr": ("SHHS", "MESA", "WSC", "CHAT", "CFS", "CCSHS", "MROS", "Mine"),
    "eog": ("CCSHS", "CFS", "CHAT", "MESA", "WSC", "MROS"),
    "shhs7": ("SHHS",),
}
DIAGNOSES = {"MNC": ("control", "narcolepsy type 1", "other hypersomnia")}
LETTERS = "WWW1122333322RR2211W2233322RRRR2W"


def make(given: str, work: Path) -> None:
    """Make the path `given` below the folder `work`, unless it is there."""
    if not (work / given).exists():
        GIVEN[given](work / given)


def recording(path: Path, *, seed: int = 1, hours: float = 0.5) -> None:
    """Write a simulated night with every signal and its scoring inside."""
    from recordings.simulate import simulate_night

    path.parent.mkdir(parents=True, exist_ok=True)
    simulate_night(seed, hours=hours, montage="full").write(path)


def folder_of_nights(folder: Path) -> None:
    """Write two recordings of a quarter of an hour."""
    for number in (1, 2):
        recording(folder / f"P0{number}_night.edf", seed=number, hours=0.25)


def own_folder(folder: Path) -> None:
    """Write somebody's raw data: five people, one of them twice, a stage a line beside each."""
    from recordings.simulate import simulate_night

    folder.mkdir(parents=True)
    for number, name in enumerate(("anna_1", "anna_2", "bela_1", "cora_1", "dora_1", "egon_1")):
        night = simulate_night(number, hours=HOURS, montage="aasm9")
        night.write(folder / f"{name}.edf", scoring="none")
        stages = "".join(f"{stage}\n" for stage in night.hypnogram.names)
        (folder / f"{name}.txt").write_text(stages, encoding="utf-8")


def predictions(path: Path) -> None:
    """Write somebody's hypnogram of night.edf as a table, half an hour."""
    stages = (LETTERS * 2)[:60]
    words = {"1": "N1", "2": "N2", "3": "N3"}
    rows = "".join(f"{number},{words.get(s, s)}\n" for number, s in enumerate(stages, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("epoch,stage\n" + rows, encoding="utf-8")


def scorings(folder: Path) -> None:
    """Write scorings named like the nights of `runs/stage` and of simulated people."""
    from engine.diagnosis.questions import simulated_cases

    folder.mkdir(parents=True)
    seed, letter = (4, "m") if folder.parent.name == "my" else (3, "t")
    if letter == "m":
        predictions(folder / "night.csv")
    cases = simulated_cases("simulated-insomnia", N_CASES, strength=1, seed=seed)
    for number, case in enumerate(cases):
        lines = "".join(f"{stage}\n" for stage in case.stages)
        (folder / f"{letter}{number:02d}.txt").write_text(lines, encoding="utf-8")


def labels(path: Path) -> None:
    """Write who of the scored people (`scorings`) has what: mine.csv or theirs.csv."""
    letter = path.name[0]
    rows = "".join(f"{letter}{n:02d},{'case' if n % 2 else 'control'}\n" for n in range(N_CASES))
    path.write_text("night,label\n" + rows, encoding="utf-8")


def outputs(path: Path) -> None:
    """Write what a stager said of eight nights of four people; another file, another stager."""
    from evaluation.outputs import NightOutput, write_outputs

    rng, made = np.random.default_rng(len(path.name)), []
    for night in range(8):
        truth = np.random.default_rng(night).integers(0, 5, 30).repeat(4).astype(np.int8)
        proba = np.eye(5)[truth] + rng.gamma(1.0, 0.6, (len(truth), 5))
        proba = (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)
        made.append(NightOutput(f"n{night}", f"p{night // 2}", truth, proba))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_outputs(path, made)


def scoring_by_hand(path: Path) -> None:
    """Write a scoring of night.edf as NSRR writes them."""
    path.write_text(nsrr_xml((LETTERS * 2)[:60]), encoding="utf-8")


def staged(folder: Path) -> None:
    """Write the results of a night staged by somebody's predictions: <folder>/night."""
    import main_stage_slm
    from command_line import parse

    work = folder.parents[1]
    for given in ("night.edf", "predictions.csv"):
        make(given, work)
    words = [str(work / "night.edf"), "--stager", str(work / "predictions.csv"), "--no-correction"]
    cfg = parse(main_stage_slm.Config, [*words, "--scoring", "none", "--out", str(folder)])
    assert main_stage_slm.main(cfg) == 0


def staged_night(folder: Path) -> None:
    """Write the results of one night."""
    staged(folder.parent)


def outputs_on_dod(path: Path) -> None:
    """Write a stager that says of the Dreem nights what their first scorer says."""
    from evaluation.outputs import NightOutput, write_outputs

    made = []
    with np.load(path.parent.parent / "shared/data/real/dod/dod.npz") as file:
        for key in (key for key in file.files if key.endswith("/scorers")):
            night, stages = key.removesuffix("/scorers"), file[key][0].astype(np.int8)
            made.append(NightOutput(night, night, stages, stages=stages))
    write_outputs(path, made)


def shared_scorers(path: Path) -> None:
    """Lay the scorings of the Dreem nights where the page has them."""
    path.symlink_to(path.parent.parent / "shared/data/real/dod/dod.npz")


def raw(folder: Path) -> None:
    """Write the raw folder of a data set in miniature."""
    from tests.makers.raw_folders import folders

    miniature = folders()[folder.name.lower()]
    miniature.write(folder)
    for night in miniature.nights:
        if night.refused:  # the reader's folder is whole
            for path in folder.rglob(f"*{night.night}*"):
                path.unlink()


def cohort(folder: Path) -> None:
    """Write the simulated recordings that `train.sh simulated` would."""
    from recordings.simulate.cohort import Cohort, write_cohort

    home = {"montage": "home"} if folder.name == "SimulatedHeart" else {}
    for site, n in (("SIM", N_PERSONS), ("BAR", 3)):
        list(write_cohort(Cohort(n, site=site, hours=HOURS, **home), folder))


def simulated_nights(folder: Path) -> None:
    """Write the night store of simulated people: <store>/<view>/Simulated."""
    from preprocess import find_dataset
    from preprocess.recipe import Settings, make_nights
    from preprocess.recipe.workers import each

    view, store = folder.parent.name, folder.parents[1]
    name = "SimulatedHeart" if view == "cr" else "Simulated"
    source = store.parent / "raw" / name
    if not source.exists():
        cohort(source)
    settings = Settings(raw=source, out=store, view=view)
    tally = make_nights(find_dataset("simulated"), settings, spread=each)
    assert not tally.failures, tally.failures


def stand_in(folder: Path) -> None:
    """Write simulated nights under the name of a data set, and lists of them as its splits."""
    from nights.ledger import write_manifest

    source = folder.parent / "Simulated"
    if not source.exists():
        simulated_nights(source)
    folder.mkdir(parents=True)
    diagnoses = DIAGNOSES.get(folder.name, ("ill", "well"))
    nights = sorted(source.glob("SIM*.json")) * (len(diagnoses) - 1)  # enough of each for folds
    for number, sidecar in enumerate(nights):
        rec = f"01-0{1 + 2 * (number % 2)}-{number:04d}" if folder.name == "MASS" else f"n{number}"
        facts = json.loads(sidecar.read_text(encoding="utf-8"))
        person = f"{folder.name.lower()}-{rec}"
        facts |= {"dataset": folder.name, "rec": rec, "person": person, "group": person}
        diagnosis = diagnoses[number % len(diagnoses)]
        facts |= {"part": folder.name, "labels": {"diagnosis": diagnosis, "origin": "simulated"}}
        for part in source.glob(f"{sidecar.stem}.*"):
            shutil.copy(part, folder / part.name.replace(sidecar.stem, rec))
        (folder / f"{rec}.json").write_text(json.dumps(facts), encoding="utf-8")
    write_manifest(folder.parent)


def split(path: Path) -> None:
    """Write two folds by person of the data set that is trained on with them."""
    from preprocess.splitting import make_split

    store = path.parents[1]
    for dataset in STORES[store.name]:
        make(f"data/{store.name}/{dataset}", store.parents[1])
    only = {"trial": "MASS", "sleepedf20": "SleepEDF"}[path.stem]
    make_split(store, path.stem, dataset=[only], folds=2, val_share=0.4)


def weights(path: Path) -> None:
    """Write a network with weights as drawn; small where only its kind matters."""
    import torch

    import models
    from engine.checkpoint import save_weights

    name, preset, card = UNTRAINED[path.parent.name if path.stem == "best" else path.stem]
    torch.manual_seed(0)
    model = models.create(name, **vars(models.presets(name)[preset]))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, model, card | {"data": "none: weights as drawn"})


def placed(cache: Path, data: Path) -> None:
    """Fill the folder of fetched weights: those at hand as published, the others as drawn."""
    from engine import weights as manifest

    for name in ("lpsgm-block4", "wav2sleep"):
        weights(cache / f"{name}.safetensors")
    upstream = data / "upstream_weights"
    for name, folder in PUBLISHED.items():
        if (upstream / folder).exists():
            manifest.get(name, str(upstream / folder))


def _card(view: str, **facts: str) -> dict[str, str]:
    return {"view": view} | facts


UNTRAINED = {
    "lpsgm-block4": ("lpsgm", "small", _card("psg9c")),
    "wav2sleep": ("wav2sleep", "paper-small", _card("cr")),
    "lpsgm": ("lpsgm", "small", _card("psg9")),
    "wav2sleep-causal": ("wav2sleep", "causal", _card("cr", normalisation="z_running")),
    "my_htn": ("htn", "paper", {}),
}
PUBLISHED = {  # of the shared folder, so that `get` finds them placed
    "sleepgpt-shhs-60": "sleepgpt/output/gpt_shhs_pretrained/60_48_3_6.pth.tar",
    "sleepgpt-shhs-90": "sleepgpt/output/gpt_shhs_pretrained/90_48_3_6.pth.tar",
    "seqsleepnet-mass-eeg": "sleep_transfer_learning/seqsleepnet_mass200_1chan_eeg.npz",
}
GIVEN: dict[str, Callable[[Path], object]] = {
    **dict.fromkeys(("night.edf", "my_night.edf", "growing.edf"), recording),
    "folder_of_nights": folder_of_nights,
    "my_folder": own_folder,
    **dict.fromkeys(("predictions.csv", "hypnogram.csv"), predictions),
    **dict.fromkeys(("my/scorings", "their/scorings"), scorings),
    **dict.fromkeys(("mine.csv", "theirs.csv"), labels),
    **dict.fromkeys(("mine.npz", "theirs.npz", "ours.npz", "stager.npz"), outputs),
    "runs/lpsgm/test.npz": outputs,
    "scored_by_hand.xml": scoring_by_hand,
    "runs/stage": staged,
    **dict.fromkeys(("runs/stage/night", "runs/yasa/night", "runs/lpsgm/night"), staged_night),
    "dod.npz": shared_scorers,
    "ours-on-dod.npz": outputs_on_dod,
    **dict.fromkeys(("raw/HMC", "raw/MASS", "shared/raw/shhs"), raw),
    **{f"data/{view}/Simulated": simulated_nights for view in STORES},
    **{f"data/{view}/{name}": stand_in for view, names in STORES.items() for name in names},
    **{
        f"data/{view}/splits/{name}.json": split
        for view, name in (("seq3", "trial"), ("bb100", "sleepedf20"))
    },
    **{f"runs/{run}/best.safetensors": weights for run in ("lpsgm", "wav2sleep-causal")},
    "my_htn.safetensors": weights,
}
