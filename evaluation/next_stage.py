"""How well a model foretells the next stage: the figure language models of sleep compete in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from nights.sequences import StageNight, stretches
from nights.stages import FOUR_CLASSES, STAGES, UNSCORED

MIN_HISTORY = 5  # stages before the first one judged, the same for every model
N_DRAWS = 1000  # of persons, for an interval


def next_stage_scores(
    model: Any, sequences: Iterable[np.ndarray], *, context: int | None = None, stride: int = 1
) -> dict[str, Any]:
    """Judge a model on stage sequences it has not seen.

    Parameters
    ----------
    model : Module
        A transition table or a stage language model, see `running_log_probs`.
    sequences : iterable of int arrays (n,)
        Stages 0..K-1 without gaps.
    context, stride : int
        As in `running_log_probs`.

    Returns
    -------
    dict
        `nll`: mean negative log-probability of the stage that came, in nats, over all epochs with
        at least five before them, pooled; `accuracy`; `n_epochs`.
    """
    judged = [_Judged.of(model, stages, context, stride) for stages in sequences]
    return _pooled(judged)


def judge(
    models: Mapping[str, Any],
    nights: Sequence[StageNight],
    *,
    context: int | None = None,
    stride: int = 1,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Judge models on the same nights, with an interval by person and a figure per stage.

    Parameters
    ----------
    models : {name: Module}
        Of one number of classes, that of the nights.
    nights : sequence of StageNight
        No sequence crosses an unscored epoch.
    context, stride : int
        As in `running_log_probs`.
    seed : int
        Of the draws of persons.

    Returns
    -------
    dict
        {name: the scores of `next_stage_scores`, `interval`: 95 % of `nll` over draws of persons
        with replacement, `per_stage`: {stage: `nll` of the epochs in which it came}}.
    """
    return judge_by_source(models, nights, context=context, stride=stride, seed=seed)["all"]


def judge_by_source(
    models: Mapping[str, Any],
    nights: Sequence[StageNight],
    *,
    context: int | None = None,
    stride: int = 1,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return `judge` of all nights and of those of each source: {"all" or source: {name: scores}}.

    Every night is put to a model once. A source none of whose nights is long enough is left out.
    """
    judged = {
        name: [
            (night, _of_stretch(model, night, stretch, context, stride))
            for night in nights
            for stretch in stretches(night.stages != UNSCORED)
            if stretch.stop - stretch.start > MIN_HISTORY
        ]
        for name, model in models.items()
    }
    long_enough = next(iter(judged.values()))
    sources = dict.fromkeys(night.source for night, _ in long_enough)
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for group in ("all", *sources):
        groups[group] = {
            name: _scores(
                [(n.owner, found) for n, found in judged[name] if group in ("all", n.source)],
                n_stages(model),
                seed,
            )
            for name, model in models.items()
        }
    return groups


def _scores(judged: Sequence[tuple[str, _Judged]], k: int, seed: int) -> dict[str, Any]:
    """Return the scores of one model on one group of nights."""
    all_of = [found for _, found in judged]
    return {
        **_pooled(all_of),
        "interval": _interval(judged, seed),
        "per_stage": _per_stage(all_of, k),
    }


def printed(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return the table of `judge` for several groups of nights: {group: {model: scores}}."""
    groups = list(results)
    models = list(results[groups[0]])
    counts = [f"{results[group][models[0]]['n_epochs']:>10}" for group in groups]
    lines = [f"{'nats per stage':<22}" + "".join(f"{group[:9]:>10}" for group in groups)]
    for model in models:
        figures = (f"{results[group][model]['nll']:>10.4f}" for group in groups)
        lines.append(f"{model:<22}" + "".join(figures))
    return "\n".join([*lines, f"{'epochs':<22}" + "".join(counts)])


def n_stages(model: Any) -> int:
    """Return how many stages a model tells apart: 5, or 4 (W L D R)."""
    return int(model.config.n_stages)


@torch.inference_mode()
def running_log_probs(
    model: Any,
    stages: np.ndarray,
    context: int | None = None,
    stride: int = 1,
    known: Mapping[str, Any] | None = None,
) -> torch.Tensor:
    """Return the log-probabilities (n, K) of what follows each epoch of `stages` (n,).

    Parameters
    ----------
    model : Module
        A transition table or a mixture (`running_log_probs`), which looks as far back as it can, or
        a stage language model.
    stages : int array (n,)
        Stages 0..K-1 without gaps.
    context : int, optional
        Epochs a language model looks back at most, placed from its first position on, as in
        correction; default: all it has positions for.
    stride : int
        Epochs by which its window moves: all but the first see between `context - stride + 1` and
        `context` epochs. 1 is exact and `stride` times the work.
    known : mapping, optional
        `StageNight.conditions`, heard by models that were trained with them.
    """
    if hasattr(model, "describe"):
        return model.running_log_probs(stages, known)
    if hasattr(model, "running_log_probs"):
        return model.running_log_probs(stages)
    context = context or model.config.n_positions
    device = next(model.parameters()).device
    ids = torch.from_numpy(np.asarray(stages, dtype=np.int64)).to(device)
    begun = model(ids[None, :context])[0].log_softmax(dim=-1)  # (min(n, context), K)
    if len(ids) <= context:
        return begun
    if stride == 1:
        windows = ids.unfold(0, context, 1)[1:]  # (n - context, context)
        return torch.cat([begun, *(model.next_log_probs(part) for part in windows.split(256))])
    ends = [*range(context + stride, len(ids), stride), len(ids)]
    windows = torch.stack([ids[end - context : end] for end in ends])
    told = torch.cat([model(part).log_softmax(dim=-1) for part in windows.split(64)])
    new = [min(stride, end - context - i * stride) for i, end in enumerate(ends)]
    return torch.cat([begun, *(rows[-n:] for rows, n in zip(told, new, strict=True))])


class _Judged:
    """Surprise (n,), rightness (n,) and stages (n,) of the judged epochs of one sequence."""

    def __init__(self, nats: np.ndarray, right: np.ndarray, came: np.ndarray) -> None:
        self.nats, self.right, self.came = nats, right, came

    @classmethod
    def of(
        cls,
        model: Any,
        stages: np.ndarray,
        context: int | None,
        stride: int,
        known: Mapping[str, Any] | None = None,
    ) -> _Judged:
        """Put one sequence to the model."""
        came = np.asarray(stages, dtype=np.int64)[MIN_HISTORY:]
        if not len(came):
            return cls(np.empty(0), np.empty(0, dtype=bool), came)
        told = running_log_probs(model, stages, context, stride, known)[MIN_HISTORY - 1 : -1]
        logs = told[:, : n_stages(model)].double().cpu().numpy()
        return cls(-logs[np.arange(len(came)), came], logs.argmax(axis=1) == came, came)


def _of_stretch(
    model: Any, night: StageNight, stretch: slice, context: int | None, stride: int
) -> _Judged:
    """Put one scored stretch of a night to the model."""
    known = night.conditions(stretch)
    return _Judged.of(model, night.stages[stretch], context, stride, known)


def _pooled(judged: Sequence[_Judged]) -> dict[str, Any]:
    """Return the scores over all epochs of all sequences."""
    n_epochs = sum(len(found.came) for found in judged)
    if not n_epochs:
        raise ValueError(f"no sequence is longer than {MIN_HISTORY} epochs: nothing to judge")
    return {
        "nll": sum(float(found.nats.sum()) for found in judged) / n_epochs,
        "accuracy": sum(int(found.right.sum()) for found in judged) / n_epochs,
        "n_epochs": n_epochs,
    }


def _interval(judged: Sequence[tuple[str, _Judged]], seed: int) -> list[float]:
    """Return the 2.5 and 97.5 percent points of the pooled `nll` over draws of persons."""
    sums: dict[str, np.ndarray] = {}
    for person, found in judged:
        own = np.array([found.nats.sum(), len(found.came)])
        sums[person] = sums.get(person, np.zeros(2)) + own
    rows = np.stack(list(sums.values()))  # (persons, 2)
    drawn = np.random.default_rng(seed).integers(0, len(rows), (N_DRAWS, len(rows)))
    totals = rows[drawn].sum(axis=1)
    return np.quantile(totals[:, 0] / totals[:, 1], [0.025, 0.975]).tolist()


def _per_stage(judged: Sequence[_Judged], k: int) -> dict[str, float]:
    """Return the mean surprise of the epochs in which each stage came."""
    nats = np.concatenate([found.nats for found in judged])
    came = np.concatenate([found.came for found in judged])
    names = STAGES if k == len(STAGES) else FOUR_CLASSES
    return {
        name: float(nats[came == s].mean()) for s, name in enumerate(names) if (came == s).any()
    }
