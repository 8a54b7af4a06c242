"""How well a model foretells the next stage: the figure language models of sleep compete in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

MIN_HISTORY = 5  # stages before the first one judged, the same for every model


@torch.inference_mode()
def next_stage_scores(
    model: Any, sequences: Iterable[np.ndarray], *, context: int = 30
) -> dict[str, Any]:
    """Judge a model on stage sequences it has not seen.

    Parameters
    ----------
    model : Module
        A transition table (`running_log_probs`) or a stage language model (`next_log_probs`).
    sequences : iterable of int arrays (n,)
        Stages 0..4 without gaps.
    context : int
        Epochs a language model may look back; tables look as far as they can.

    Returns
    -------
    dict
        `nll`: mean negative log-probability of the stage that came, in nats, over all epochs with
        at least five before them, pooled; `accuracy`; `n_epochs`.
    """
    nats, right, n_epochs = 0.0, 0, 0
    for sequence in sequences:
        stages = np.asarray(sequence, dtype=np.int64)
        if len(stages) <= MIN_HISTORY:
            continue
        told = running_log_probs(model, stages, context)[MIN_HISTORY - 1 : -1]
        came = torch.from_numpy(stages[MIN_HISTORY:])
        nats -= told.gather(1, came[:, None]).sum(dtype=torch.float64).item()
        right += int((told.argmax(dim=1) == came).sum())
        n_epochs += len(came)
    if not n_epochs:
        raise ValueError(f"no sequence is longer than {MIN_HISTORY} epochs: nothing to judge")
    return {"nll": nats / n_epochs, "accuracy": right / n_epochs, "n_epochs": n_epochs}


def running_log_probs(model: Any, stages: np.ndarray, context: int = 30) -> torch.Tensor:
    """Return the log-probabilities (n, K) of what follows each epoch of `stages` (n,).

    A language model sees at most the last `context` epochs, placed from its first position on, as
    in correction.
    """
    if hasattr(model, "running_log_probs"):
        return model.running_log_probs(stages)
    ids = torch.from_numpy(np.asarray(stages, dtype=np.int64))
    begun = model(ids[None, :context])[0].log_softmax(dim=-1)  # (min(n, context), K)
    if len(ids) <= context:
        return begun
    windows = ids.unfold(0, context, 1)[1:]  # (n - context, context)
    told = [model.next_log_probs(part) for part in windows.split(256)]
    return torch.cat([begun, *told])
