"""Correction of 1 and of 100 nights: ours, the published way, and the limit.

    python -m benchmarks.correction

The published way is a whole forward pass per epoch, as the specification writes it down; labels of
both must be equal. Real nights are the published outputs of CNN stagers on Sleep-EDF-20, when the
shared material lies beside the repository (SLEEP_SHARED_DATA): four stagers, 39 nights each. Drawn
nights have a stager whose errors are independent from epoch to epoch, which asks more of the
language model than any real one; `noise` is a stager that knows nothing. The limit is the
arithmetic of the distinct contexts of the result at the speed of a large matrix product.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks.measure import Timing, matmul_gflop_per_s, measure, table
from recordings.simulate.stages import draw_stages

WEIGHT, CONTEXT, MIN_LEN = 0.1, 30, 5  # published
N_EPOCHS = 1000
GOAL_S = {1: 0.15, 100: 3.0}
SHARED_DATA = Path(os.environ.get("SLEEP_SHARED_DATA", "../shared/data"))
REAL = SHARED_DATA / "sleepedf20_stager_outputs.npz"
Nights = list[np.ndarray]  # hypnodensities, float32 (n, 5)


def drawn_nights(count: int, sharpness: float) -> Nights:
    """Return nights of a simulated sleeper: logits of noise plus `sharpness` at the true stage."""
    nights = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        stages = draw_stages(rng, N_EPOCHS, age=rng.uniform(20, 80))
        noise = 1.5 * rng.standard_normal((N_EPOCHS, 5))
        nights.append(_softmax(noise + sharpness * np.eye(5)[stages]))
    return nights


def real_nights(count: int) -> Nights:
    """Return nights of the published stager outputs, the first 1,000 epochs of each."""
    nights = []
    with np.load(REAL, allow_pickle=False) as file:
        bounds = list(zip(file["record_start"], file["record_epochs"], strict=True))
        for name in sorted(name for name in file.files if name.startswith("logits_")):
            middle = _softmax(file[name][1].astype(np.float64))
            nights += [middle[start : start + n][:N_EPOCHS] for start, n in bounds]
    return nights[:count]


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities, float32 (n, 5)."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def model() -> nn.Module:
    """Return the language model that ships."""
    import torch

    from engine.weights import load

    torch.set_num_threads(1)
    return load("sleepgpt-open")[0]


def ours(nights: Nights) -> list[np.ndarray]:
    """Correct the way the house does, with nothing remembered from before."""
    from nights.hypnogram import Hypnogram
    from staging.correct import correct_many

    hypnograms = [Hypnogram.from_proba(proba) for proba in nights]
    found = correct_many(hypnograms, model(), weight=WEIGHT, context=CONTEXT, min_len=MIN_LEN)
    return [hypnogram.stages for hypnogram in found]


def denoised(nights: Nights) -> list[np.ndarray]:
    """Correct with the generic denoiser."""
    import torch

    from engine.weights import load
    from nights.hypnogram import Hypnogram
    from staging.correct import denoise
    from staging.denoiser import Committee

    torch.set_num_threads(1)
    committee = Committee((load("denoiser-open")[0],))  # type: ignore[arg-type]
    return [denoise(Hypnogram.from_proba(proba), committee).stages for proba in nights]


def published(nights: Nights) -> list[np.ndarray]:
    """Correct with a whole forward pass per epoch."""
    import torch

    language_model, found = model(), []
    with torch.inference_mode():
        for proba in nights:
            evidence = torch.from_numpy(proba + np.float32(1e-8)).log().log_softmax(dim=-1)
            stages = evidence[:MIN_LEN].argmax(dim=-1).tolist()
            for row in evidence[MIN_LEN:]:
                logits = language_model(torch.tensor([stages[-CONTEXT:]]))[0, -1]
                told = logits.log_softmax(dim=-1)[:5]
                stages.append(int(((1 - WEIGHT) * row + WEIGHT * told).argmax()))
            found.append(np.array(stages))
    return found


def loading() -> None:
    """Do what both ways do before the first epoch."""
    model()


def gflop(stages: list[np.ndarray]) -> float:
    """Return the arithmetic of all distinct contexts, the last block at its last place only."""
    config = model().config
    n_contexts = len({s[i - CONTEXT : i].tobytes() for s in stages for i in range(CONTEXT, len(s))})
    per_place = 24 * config.width**2 + 4 * config.width * CONTEXT  # one block at one place
    last = 4 * config.width**2 * CONTEXT + per_place  # keys and values everywhere, the rest once
    return n_contexts * ((config.n_layers - 1) * per_place * CONTEXT + last) / 1e9


def row(kind: str, nights: Nights, n_plain: int, speed: float, start: Timing) -> tuple:
    """Measure one line of the table; the published way on the first `n_plain` nights."""
    found, plain = ours(nights), published(nights[:n_plain])
    for one, other in zip(found, plain, strict=False):
        assert np.array_equal(one, other), f"{kind}: labels differ from the published rule"
    mine, theirs = measure(ours, nights), measure(published, nights[:n_plain], repeat=2)
    cpu = mine.cpu_s - start.cpu_s
    plain_cpu = (theirs.cpu_s - start.cpu_s) * len(nights) / n_plain
    limit = gflop(found) / speed
    goal = GOAL_S[len(nights)]
    return (len(nights), kind, cpu, goal, mine.peak_mb, plain_cpu, plain_cpu / cpu, limit)


def main() -> None:
    """Print the table."""
    speed, start = matmul_gflop_per_s(), measure(loading)
    kinds = [("drawn", drawn_nights(100, 4.0)), ("noise", drawn_nights(1, 0.0))]
    if REAL.exists():
        kinds = [("real", real_nights(100)), *kinds]
    rows = [row(kind, nights[:1], 1, speed, start) for kind, nights in kinds]
    rows += [row(kind, nights, 3, speed, start) for kind, nights in kinds if len(nights) == 100]
    head = ("nights", "stager", "ours CPU s", "goal", "MB", "published way CPU s", "ratio")
    print(table(f"Correction, {N_EPOCHS} epochs a night", (*head, "limit CPU s"), rows))
    told = [
        (len(part), kind, measure(denoised, part).cpu_s - measure(denoised, []).cpu_s, goal)
        for kind, nights in kinds
        for part, goal in ((nights[:1], 0.05), (nights, 0.05 * len(nights)))
        if len(part) == 1 or len(nights) == 100
    ]
    print(table("The denoiser", ("nights", "stager", "CPU s", "goal"), told))
    print(f"Matrix product {speed:.0f} GFLOP/s. The published code itself: 1.63 CPU s a night.")


if __name__ == "__main__":
    main()
