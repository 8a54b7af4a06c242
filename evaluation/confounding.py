"""What else tells the classes apart: site, age, sex, sampling rate, number and length of nights.

A network that reads a night can read its laboratory, too. Where the healthy come from one site and
the ill from another, no cross-validation within the data can say which of both was learned (the
published perfect depression score is such a case: two laboratories, two sampling rates, eighty
nights of twenty people against one night each).

References
----------
.. [1] Bergsma (2013). A bias-correction for Cramer's V and Tschuprow's T. Journal of the Korean
   Statistical Society 42(3), 323-328.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ALPHA = 0.01  # several variables are looked at; permutations of 2,000
N_PERMUTATIONS = 2000
# Effects from which a warning is given: a Cramer's V of 0.3 is called medium (Cohen 1988), an
# area of 0.65 by one number alone is worth as much as many a published marker
LEAST_V, LEAST_AUC = 0.3, 0.65


@dataclass(frozen=True)
class Confound:
    """How much one variable tells of the label, over persons.

    Parameters
    ----------
    variable : str
    measure : str
        `V` (Cramer's, bias-corrected [1]_) of names, `AUC` (0.5 to 1, the worst pair of classes) of
        numbers.
    effect, p : float
        The p is of permuted labels.
    warns : bool
        Whether it is both large and unlikely to be chance.
    text : str
        One sentence.
    """

    variable: str
    measure: str
    effect: float
    p: float
    warns: bool
    text: str


def find_confounds(
    labels: np.ndarray,
    variables: Mapping[str, Sequence[str] | np.ndarray],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> list[Confound]:
    """Look at every variable that differs between persons at all.

    Parameters
    ----------
    labels : int array (P,)
        Class of each person.
    variables : {name: values (P,)}
        Numbers (NaN = not known) or names.
    classes : sequence of str
        Names of the classes.
    seed : int
        Of the permutations.
    """
    found = []
    for name, values in variables.items():
        values = np.asarray(values)
        known = np.isfinite(values) if values.dtype.kind in "fi" else values != ""
        kept, own = values[known], labels[known]
        if len(np.unique(kept)) < 2 or len(np.unique(own)) < 2:
            continue
        rng = np.random.default_rng(seed)
        look = _number if kept.dtype.kind in "fi" else _name
        found.append(look(name, kept, own, classes, rng))
    return found


def warnings_of(confounds: Sequence[Confound]) -> list[str]:
    """Return the sentences that warn."""
    return [f"CONFOUNDED: {found.text}" for found in confounds if found.warns]


def cramers_v(labels: np.ndarray, names: np.ndarray) -> float:
    """Return the bias-corrected Cramer's V [1]_ of two columns of codes (P,): 0 to 1."""
    table = np.zeros((labels.max() + 1, names.max() + 1))
    np.add.at(table, (labels, names), 1)
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    n, (rows, columns) = table.sum(), table.shape
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    phi = max(0.0, ((table - expected) ** 2 / expected).sum() / n - _chance(rows, columns, n))
    least = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(phi / least)) if least > 0 else 0.0


def _chance(rows: int, columns: int, n: float) -> float:
    """Return the mean of phi squared when nothing is associated."""
    return (rows - 1) * (columns - 1) / (n - 1)


def _name(
    variable: str,
    names: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    rng: np.random.Generator,
) -> Confound:
    """Judge a variable of names, such as the site."""
    known, codes = np.unique(names, return_inverse=True)
    effect = cramers_v(labels, codes)
    p = _permuted(effect, labels, rng, lambda mixed: cramers_v(mixed, codes))
    counts = {
        str(name): " / ".join(
            str(int(((codes == at) & (labels == k)).sum())) for k in _all(classes)
        )
        for at, name in enumerate(known)
    }
    shown = "; ".join(f"{name} {count}" for name, count in list(counts.items())[:8])
    text = (
        f"the label goes with {variable} (Cramer's V {effect:.2f}, p {p:.3g}; persons "
        f"{' / '.join(classes)}: {shown})"
    )
    return Confound(variable, "V", effect, p, effect >= LEAST_V and p < ALPHA, text)


def _number(
    variable: str,
    numbers: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    rng: np.random.Generator,
) -> Confound:
    """Judge a variable of numbers, such as age."""
    ranks = _ranks(numbers.astype(np.float64))
    effect = _worst_auc(ranks, labels)
    p = _permuted(effect, labels, rng, lambda mixed: _worst_auc(ranks, mixed))
    medians = ", ".join(
        f"{classes[k]} {np.median(numbers[labels == k]):g}" for k in np.unique(labels)
    )
    text = (
        f"{variable} alone tells the classes apart with an area of {effect:.2f} (p {p:.3g}; "
        f"medians: {medians})"
    )
    return Confound(variable, "AUC", effect, p, effect >= LEAST_AUC and p < ALPHA, text)


def _worst_auc(ranks: np.ndarray, labels: np.ndarray) -> float:
    """Return the largest area, in either direction, by which one class stands out."""
    worst = 0.5
    for label in np.unique(labels):
        own = labels == label
        n_own, n_others = int(own.sum()), int((~own).sum())
        area = (ranks[own].sum() - n_own * (n_own + 1) / 2) / (n_own * n_others)
        worst = max(worst, area, 1 - area)
    return float(worst)


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """Return ranks from 1, the mean rank where numbers are equal."""
    _, group, size = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(size)
    return (ends - (size - 1) / 2)[group]


def _permuted(
    effect: float,
    labels: np.ndarray,
    rng: np.random.Generator,
    measure: Callable[[np.ndarray], float],
) -> float:
    """Return how often permuted labels go as well with the variable; the real ones count, too."""
    as_large = sum(
        measure(rng.permutation(labels)) >= effect - 1e-12 for _ in range(N_PERMUTATIONS)
    )
    return (1 + as_large) / (1 + N_PERMUTATIONS)


def _all(classes: Sequence[str]) -> range:
    """Return the codes of the classes."""
    return range(len(classes))
