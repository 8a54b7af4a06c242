"""Published outputs of twelve networks on Sleep-EDF-20 through our files and our metrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evaluation.judge import facts_of, judge
from evaluation.outputs import NightOutput, read_outputs, write_outputs

PACK = "sleepedf20_stager_outputs.npz"
# accuracy, kappa, macro F1 of the stored decisions, as the networks' authors pool them
STORED = {
    "onemax_1to1_1ch": (79.75, 0.7147, 71.97),
    "onemax_1to1_2ch": (79.71, 0.7151, 72.21),
    "onemax_3to1_1ch": (80.88, 0.7315, 73.56),
    "onemax_3to1_2ch": (82.09, 0.7466, 75.35),
}


def records(pack: np.lib.npyio.NpzFile) -> Iterator[tuple[str, slice]]:
    """Yield name and place of each night."""
    for name, first, n in zip(
        pack["record"], pack["record_start"], pack["record_epochs"], strict=True
    ):
        yield str(name), slice(int(first), int(first) + int(n))


def summed(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities of the heads (3, E, K), summed on the epoch each head speaks of."""
    logits = logits.astype(np.float64)
    logs = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    total = logs[1].copy()
    total[:-1] += logs[0, 1:]  # the epoch after speaks of this one as its previous
    total[1:] += logs[2, :-1]
    return total


@pytest.mark.data(PACK)
@pytest.mark.parametrize("network", STORED)
def test_stored_decisions_have_the_published_figures(
    shared_data: Path, tmp_path: Path, network: str
) -> None:
    with np.load(shared_data / PACK) as pack:
        nights = [
            NightOutput(name, name[:5], pack["labels"][at], stages=pack[f"pred_{network}"][at])
            for name, at in records(pack)
        ]
    read = read_outputs(write_outputs(tmp_path / "o.npz", nights))
    found = facts_of(judge(network, read))
    assert (found["n_nights"], found["n_persons"]) == (39, 20)
    _has(found["agreement"]["pooled"], STORED[network])


@pytest.mark.data(PACK)
def test_the_aggregated_network_has_the_published_82_25_percent(
    shared_data: Path, tmp_path: Path
) -> None:
    with np.load(shared_data / PACK) as pack:
        nights = []
        for name, at in records(pack):
            total = summed(pack["logits_onemax_1to3_2ch"][:, at])
            proba = np.exp(total - np.logaddexp.reduce(total, axis=1, keepdims=True))
            nights.append(NightOutput(name, name[:5], pack["labels"][at], proba))
    read = read_outputs(write_outputs(tmp_path / "o.npz", nights))
    found = facts_of(judge("onemax", read))
    _has(found["agreement"]["pooled"], (82.25, 0.7477, 74.72))
    assert found["calibration"]["temperatures"]


def _has(pooled: dict, published: tuple[float, float, float]) -> None:
    """Compare with the published figures, to their last digit (logits are stored as float16)."""
    accuracy, kappa, macro_f1 = published
    assert 100 * pooled["accuracy"] == pytest.approx(accuracy, abs=0.011)
    assert pooled["kappa"] == pytest.approx(kappa, abs=0.00015)
    assert 100 * pooled["macro_f1"] == pytest.approx(macro_f1, abs=0.015)
