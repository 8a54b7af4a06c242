"""Correction of 1 and of 100 nights: ours, the published way, and the limit.

    python -m benchmarks.correction

The published way is a whole forward pass per epoch, as the specification writes it down. Nights are
drawn here: a semi-regular night, and a stager that errs (graded) or only guesses (noise). Labels of
both ways must be equal. The limit is the arithmetic of the distinct contexts the published way
meets at the speed of a large matrix product on this machine.
"""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Timing, matmul_gflop_per_s, measure, table
from recordings.simulate.stages import draw_stages

WEIGHT, CONTEXT, MIN_LEN = 0.1, 30, 5  # published
N_EPOCHS = 1000
PUBLISHED_CPU_S = 1.63  # of the published code itself, one night, on a comparable machine


def night(seed: int, sharpness: float) -> np.ndarray:
    """Return a hypnodensity (n, 5): noise around a night's stages, less of it when sharper."""
    rng = np.random.default_rng(seed)
    stages = draw_stages(rng, N_EPOCHS, age=rng.uniform(20, 80))
    logits = 1.5 * rng.standard_normal((N_EPOCHS, 5)) + sharpness * np.eye(5)[stages]
    raised = np.exp(logits)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def nights(count: int, sharpness: float) -> list[np.ndarray]:
    """Return `count` nights."""
    return [night(seed, sharpness) for seed in range(count)]


def model():
    """Return the language model that ships."""
    import torch

    from engine.weights import load

    torch.set_num_threads(1)
    return load("sleepgpt-open")[0]


def ours(proba: list[np.ndarray]) -> list[np.ndarray]:
    """Correct the way the house does, without anything remembered from before."""
    from nights.hypnogram import Hypnogram
    from staging.correct import correct_many

    hypnograms = [Hypnogram.from_proba(rows) for rows in proba]
    found = correct_many(hypnograms, model(), weight=WEIGHT, context=CONTEXT, min_len=MIN_LEN)
    return [hypnogram.stages for hypnogram in found]


def published(proba: list[np.ndarray]) -> list[np.ndarray]:
    """Correct with a whole forward pass per epoch."""
    import torch

    language_model, found = model(), []
    with torch.inference_mode():
        for rows in proba:
            evidence = torch.from_numpy(rows + np.float32(1e-8)).log().log_softmax(dim=-1)
            stages = evidence[:MIN_LEN].argmax(dim=-1).tolist()
            for row in evidence[MIN_LEN:]:
                logits = language_model(torch.tensor([stages[-CONTEXT:]]))[0, -1]
                told = logits.log_softmax(dim=-1)[:5]
                stages.append(int(((1 - WEIGHT) * row + WEIGHT * told).argmax()))
            found.append(np.array(stages))
    return found


def loading(proba: list[np.ndarray]) -> None:
    """Do what both ways do before the first epoch."""
    model()


def gflop(stages: list[np.ndarray]) -> float:
    """Return the arithmetic of all distinct contexts, the last block at its last place only."""
    config = model().config
    n_contexts = len({s[i - CONTEXT : i].tobytes() for s in stages for i in range(CONTEXT, len(s))})
    per_place = 24 * config.width**2 + 4 * config.width * CONTEXT  # one block, one place
    last = 4 * config.width**2 * CONTEXT + per_place  # keys and values everywhere, the rest once
    return n_contexts * ((config.n_layers - 1) * per_place * CONTEXT + last) / 1e9


def row(count: int, kind: str, sharpness: float, plain_nights: int, speed: float) -> tuple:
    """Measure one line of the table; the published way on `plain_nights` of the nights."""
    proba = nights(count, sharpness)
    start = measure(loading, proba[:1])
    found, plain = ours(proba), published(proba[:plain_nights])
    for one, other in zip(found, plain, strict=False):
        assert np.array_equal(one, other), "the labels differ from the published rule"
    mine = measure(ours, proba)
    theirs = measure(published, proba[:plain_nights], repeat=2)
    cpu = _less(mine, start)
    plain_cpu = _less(theirs, start) * count / plain_nights
    limit = gflop(found) / speed
    return (count, kind, cpu, mine.peak_mb, plain_cpu, plain_cpu / cpu, limit, cpu / limit)


def _less(timing: Timing, start: Timing) -> float:
    """Return the CPU seconds without those of loading the model."""
    return timing.cpu_s - start.cpu_s


def main() -> None:
    """Print the table."""
    speed = matmul_gflop_per_s()
    rows = [
        row(1, "graded", 4.0, 1, speed),
        row(1, "noise", 0.0, 1, speed),
        row(100, "graded", 4.0, 3, speed),
    ]
    head = ("nights", "stager", "ours CPU s", "MB", "published way CPU s", "ratio", "limit CPU s")
    print(table(f"Correction, {N_EPOCHS} epochs a night", (*head, "ours / limit"), rows))
    print(f"Matrix product: {speed:.0f} GFLOP/s. Published code itself: {PUBLISHED_CPU_S} CPU s")


if __name__ == "__main__":
    main()
