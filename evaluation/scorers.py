"""Several scorers and several stagers of the same nights, judged alike.

The rules are those of the Dreem Open Datasets [1]_. The scorers of a night are ranked by soft
agreement. A scorer is judged by the consensus of the others, a stager by that of all (or of the
`n_voters` best ranked); ties go to the best ranked scorer. An epoch weighs as much as the share of
the scorers behind its consensus. Beside them stand the soft-label figures of LPSGM's prospective
study [2]_, in which ties share the mass instead.

References
----------
.. [1] Guillot et al. (2020). Dreem Open Datasets. IEEE TNSRE 28(9), 1955-1965.
.. [2] Deng et al. (2024). LPSGM. medRxiv 2024.12.11.24318815.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.agreement import (
    Consensus,
    consensus,
    majority_proba,
    soft_agreement,
    soft_confusion,
)
from evaluation.bootstrap import drawn_sums, draws, interval
from evaluation.metrics import confusion, metrics_from, metrics_stack
from evaluation.outputs import NightOutput
from nights.splits import listed
from nights.stages import STAGES, check_stages

N_STAGES = len(STAGES)


@dataclass(frozen=True, eq=False)
class ScoredNight:
    """A night with all its scorings.

    Parameters
    ----------
    dataset, night : str
        Where it comes from, and its name there; a night is a person of its own.
    scorings : int8 array (S, E)
        Stages of S scorers, -1 where unscored; row s is the same scorer on every night.
    stagers : {name: int8 array (E,)}
        What automatic stagers said.
    proba : {name: float array (E, 5)}
        Hypnodensities of those stagers that have one.
    """

    dataset: str
    night: str
    scorings: np.ndarray
    stagers: Mapping[str, np.ndarray] = field(default_factory=dict)
    proba: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name across all data sets."""
        return f"{self.dataset}/{self.night}"


class Rated(NamedTuple):
    """One rater on one night: weighted and soft confusions (K, K), and soft agreement."""

    weighted: np.ndarray
    plain: np.ndarray
    soft: np.ndarray
    soft_agreement: float


Table = dict[str, dict[str, Any]]  # {rater: figures}


def read_scored(path: Path) -> list[ScoredNight]:
    """Read a pack of nights with several scorers.

    Parameters
    ----------
    path : Path
        NPZ file: `<dataset>/<night>/scorers` int (S, E), -1 = not scored; with automatic stagers
        `<dataset>/<night>/models` int (M, E) too, and their names `<dataset>/model_names` (M,).
        Names that differ between data sets in capitals only are one stager.

    Raises
    ------
    ValueError
        If the file holds no such arrays, or the lengths of a night differ.
    """
    spelled: dict[str, str] = {}
    found = []
    with np.load(path, allow_pickle=False) as pack:
        for key in sorted(name for name in pack.files if name.endswith("/scorers")):
            name = key.removesuffix("/scorers")
            dataset, _, night = name.partition("/")
            scorings = np.stack([check_stages(row) for row in pack[key]])
            stagers = {}
            if f"{name}/models" in pack.files:
                names = pack[f"{dataset}/model_names"].tolist()
                for stager, said in zip(names, pack[f"{name}/models"], strict=True):
                    stager = spelled.setdefault(stager.casefold(), stager)
                    stagers[stager] = _fitting(check_stages(said), scorings, name, stager)
            found.append(ScoredNight(dataset, night, scorings, stagers))
    if not found:
        raise ValueError(f"{path.name}: no <dataset>/<night>/scorers in it")
    return found


def with_stager(
    nights: Sequence[ScoredNight], stager: str, outputs: Sequence[NightOutput]
) -> list[ScoredNight]:
    """Return the nights with one more stager, found by `<dataset>/<night>` or by `night`.

    Raises
    ------
    ValueError
        Naming the nights the stager said nothing about; or if lengths or stages differ.
    """
    if any(output.classes != STAGES for output in outputs):
        raise ValueError(f"{stager}: tells other stages apart than the scorers")
    said = {output.night: output for output in outputs}
    said |= {f"{output.dataset}/{output.night}": output for output in outputs}
    if missing := [night.name for night in nights if night.name not in said]:
        raise ValueError(f"{stager}: nothing on {listed(missing)}")
    return [_joined(night, stager, said[night.name]) for night in nights]


def _joined(night: ScoredNight, stager: str, output: NightOutput) -> ScoredNight:
    """Return a night with one more stager."""
    stages = _fitting(output.stages, night.scorings, night.name, stager)
    proba = {} if output.proba is None else {stager: output.proba}
    return replace(night, stagers={**night.stagers, stager: stages}, proba={**night.proba, **proba})


def _fitting(said: np.ndarray, scorings: np.ndarray, night: str, stager: str) -> np.ndarray:
    """Return what a stager said, or refuse it for its length."""
    if len(said) != scorings.shape[1]:
        raise ValueError(
            f"night {night!r}: scorings of {scorings.shape[1]} epochs, {stager} gives {len(said)}"
        )
    return said


def first_of_each(nights: Sequence[ScoredNight], n: int) -> list[ScoredNight]:
    """Return the first `n` nights of each data set."""
    taken: dict[str, list[ScoredNight]] = {}
    for night in nights:
        taken.setdefault(night.dataset, []).append(night)
    return [night for of in taken.values() for night in of[:n]]


def rate(
    nights: Sequence[ScoredNight], *, n_voters: int | None = None, seed: int = 0
) -> dict[str, Table]:
    """Return the figures of every scorer and every stager, for each data set and all together.

    Parameters
    ----------
    nights : sequence of ScoredNight
        With the same scorers and stagers on each.
    n_voters : int, optional
        How many of the best ranked scorers a stager is judged by; default all. The paper takes
        one fewer than there are, so that scorers and stagers face equally many.
    seed : int
        Of the draws of nights for the intervals.

    Returns
    -------
    dict
        {data set: {rater: figures}}, scorers first; `together` when there are several data sets.
        Figures are `kind` (scorer or stager), `n_nights`, `pooled` (weighted metrics of the summed
        confusions), `interval` of the pooled weighted `kappa`, `unweighted` (accuracy, kappa, macro
        F1 against the consensus, each epoch alike), and `nights`: {figure: [mean, standard
        deviation]} over the nights.

    Raises
    ------
    ValueError
        If scorers or stagers differ between nights, or there are fewer than three scorers.
    """
    _same_raters(nights)
    ratings = [_ratings(night, n_voters) for night in nights]
    groups = dict.fromkeys(night.dataset for night in nights)
    places = {g: [i for i, night in enumerate(nights) if night.dataset == g] for g in groups}
    if len(places) > 1:
        places["together"] = list(range(len(nights)))
    return {
        group: {
            rater: {"kind": "scorer" if number < len(nights[0].scorings) else "stager"}
            | _figures([ratings[at][rater] for at in where], seed)
            for number, rater in enumerate(ratings[0])
        }
        for group, where in places.items()
    }


def _ratings(night: ScoredNight, n_voters: int | None) -> dict[str, Rated]:
    """Judge every scorer, then every stager, on one night."""
    found = {}
    for scorer, own in enumerate(night.scorings):
        others = np.delete(night.scorings, scorer, axis=0)
        found[f"scorer {scorer + 1}"] = _rated(own, others, consensus(others))
    everyone = consensus(night.scorings, n_best=n_voters)
    return found | {
        stager: _rated(said, night.scorings, everyone) for stager, said in night.stagers.items()
    }


def _same_raters(nights: Sequence[ScoredNight]) -> None:
    """Refuse nights of different scorers or stagers."""
    kinds = {(len(night.scorings), tuple(sorted(night.stagers))) for night in nights}
    if len(kinds) != 1:
        raise ValueError(f"nights have different scorers or stagers: {sorted(kinds)}")
    if len(nights[0].scorings) < 3:
        raise ValueError("two scorers have no consensus to be judged by: three or more are wanted")


def _rated(said: np.ndarray, voters: np.ndarray, agreed: Consensus) -> Rated:
    """Judge the stages (E,) of a rater by the votes (S, E) and their consensus."""
    heard = np.where((said >= 0)[:, None], (said[:, None] == np.arange(N_STAGES)), np.nan)
    return Rated(
        confusion(agreed.stages, said, weights=agreed.share),
        confusion(agreed.stages, said),
        soft_confusion(majority_proba(voters), heard),
        float(soft_agreement(np.vstack([said[None], voters]))[0]),
    )


def _figures(nights: Sequence[Rated], seed: int) -> dict[str, Any]:
    """Return the figures of one rater."""
    weighted, plain, soft = (np.stack(part) for part in list(zip(*nights, strict=True))[:3])
    pooled, unweighted = metrics_from(weighted.sum(axis=0)), metrics_from(plain.sum(axis=0))
    times = draws(len(nights), np.random.default_rng(seed))
    drawn = metrics_stack(drawn_sums(times, weighted), "kappa")
    values = {
        "soft_agreement": np.array([night.soft_agreement for night in nights]),
        "kappa": metrics_stack(weighted, "kappa"),
        "macro_f1": metrics_stack(weighted, "macro_f1"),
        "accuracy": metrics_stack(plain, "accuracy"),
        "soft_accuracy": metrics_stack(soft, "accuracy"),
        "soft_kappa": metrics_stack(soft, "kappa"),
    }
    return {
        "n_nights": len(nights),
        "pooled": pooled,
        "interval": vars(interval(pooled["kappa"], drawn)),
        "unweighted": {name: unweighted[name] for name in ("accuracy", "kappa", "macro_f1")},
        "nights": {name: mean_sd(found) for name, found in values.items()},
    }


def mean_sd(values: np.ndarray) -> list[float]:
    """Return mean and standard deviation of what is defined; NaN where it is not."""
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if known.size else float("nan")
    return [mean, float(known.std(ddof=1)) if known.size > 1 else float("nan")]
