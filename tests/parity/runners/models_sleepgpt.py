"""SleepGPT's stage language model, with filled weights and with the published ones."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch.nn import functional as F

from engine.checkpoint import read_foreign
from models import published
from models.sleepgpt import StageLanguageModel
from nights.hypnogram import Hypnogram
from staging.correct import correct
from tests.parity.recipes import Arrays, Meta, published_file, weights


def matches(meta: Meta) -> bool:
    """Know the stage language model, not the classifiers built on it."""
    return meta.get("model", "").startswith("GPTLM (SleepGPT language model)")


@torch.inference_mode()
def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture; its sentences hold the lengths and weights used."""
    heads = {"n_heads": meta["config"]["num_heads"]}
    if "state_dict" in meta:
        model = published.load("sleepgpt", weights(meta), **heads)
        tensors = _filled(model, meta["notes"], arrays)
        decoded = _corrected(model, meta["notes"], arrays)
    else:
        path = published_file("sleepgpt", meta["checkpoint"])
        model = published.load("sleepgpt", read_foreign(path), **heads)
        tensors = _trained(model, meta["outputs"], arrays)
        decoded = _corrected_nights(model, meta["outputs"], arrays)
    return {name: tensor.numpy() for name, tensor in tensors.items()} | decoded


def _filled(
    model: StageLanguageModel, notes: dict[str, str], arrays: Arrays
) -> dict[str, torch.Tensor]:
    """Logits, activations and losses."""
    ids, labels = torch.from_numpy(arrays["input_ids"]), torch.from_numpy(arrays["labels"])
    padded = torch.from_numpy(arrays["padded_ids"])
    valid = padded != model.config.vocab_size - 1
    logits, embedded = model(ids), model.embed(ids)
    first, context = _numbers(r"first (\d+) ids .*ngram=(\d+)", notes["next_log_probs"])
    added, start = _numbers(r"(\d+) tokens .*first (\d+) ids", notes["generated_greedy"])
    return {
        "logits": logits,
        "embed": _thin(embedded[:1], notes["embed"]),
        "block0": _thin(model.blocks[0](embedded), notes["block0"]),
        "final_hidden": _thin(model.hidden(ids), notes["final_hidden"]),
        "loss_double_shift": _loss(logits[:, :-1], labels[:, 1:]),
        "loss_next_token": _loss(logits, labels),
        "padded_mask": valid.float(),
        "padded_hidden_valid": _thin(
            model.hidden(padded, valid)[-1][valid[-1]], notes["final_hidden"]
        ),
        "next_log_probs": model.next_log_probs(ids[:, :first][:, -context:]),
        "generated_greedy": model.generate(ids[:1, :start], added),
    }


def _trained(
    model: StageLanguageModel, told: dict[str, str], arrays: Arrays
) -> dict[str, torch.Tensor]:
    """Logits, next stages after the beginnings of real nights, and a free run."""
    ids = torch.from_numpy(arrays["input_ids"])
    added, start = _numbers(r"\((\d+) tokens\) of the first (\d+) ids", told["sampled_free_run"])
    outputs = {
        "logits": model(ids),
        "final_hidden_last": model.hidden(ids)[:, -1],
        "sampled_free_run": model.generate(ids[:1, :start], added),
    }
    lengths, context = re.search(r"t = ([\w,]+), .*last (\d+)", told["next_log_probs_i"]).groups()
    for name in (name for name in arrays if name.startswith("next_log_probs_")):
        night = torch.from_numpy(arrays[f"hypnogram_{name.rsplit('_', 1)[1]}"])
        begun = [night[: len(night) if t == "n" else int(t)] for t in lengths.split(",")]
        rows = [model.next_log_probs(part[None, -int(context) :])[0] for part in begun]
        outputs[name] = torch.stack(rows)
    return outputs


def _corrected(model: StageLanguageModel, notes: dict[str, str], arrays: Arrays) -> Arrays:
    """Corrections of the fixture with filled weights."""
    rule = r"ngram=(\d+), min_len=(\d+), lm_weight=([\d.]+)"
    context, min_len, weight = _numbers(rule, notes["corrected_from_log_probs"])
    evidence = {
        "corrected_from_log_probs": np.log(arrays["probs"]),
        "corrected_from_probs_as_logits": arrays["probs"],
    }
    return {
        name: _greedy(model, logits, context, min_len, weight)[None]
        for name, logits in evidence.items()
    }


def _corrected_nights(model: StageLanguageModel, told: dict[str, str], arrays: Arrays) -> Arrays:
    """Corrections of real nights; their names hold night, weight and context."""
    (min_len,) = _numbers(r"min_len (\d+)", told["corrected_i_alphaA_ngramN"])
    outputs = {}
    for name in (name for name in arrays if name.startswith("corrected_")):
        parts = re.fullmatch(r"corrected_(\d+)_(probs_as_logits_)?alpha([\d.]+)_ngram(\d+)", name)
        proba = arrays[f"probs_{parts[1]}"]
        logits = proba if parts[2] else np.log(proba)
        outputs[name] = _greedy(model, logits, int(parts[4]), min_len, float(parts[3]))
    return outputs


def _greedy(
    model: StageLanguageModel, logits: np.ndarray, context: int, min_len: int, weight: float
) -> np.ndarray:
    """Correct a night of logits (E, 5) by the published rule."""
    night = Hypnogram.from_proba(torch.from_numpy(logits).softmax(dim=-1).numpy())
    corrected = correct(night, model, weight=weight, context=context, min_len=min_len)
    return corrected.stages.astype(np.int64)


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over all places, shape (1,)."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())[None]


def _thin(features: torch.Tensor, note: str) -> torch.Tensor:
    """Keep every n-th feature, as the note says."""
    (step,) = _numbers(r"every (\d+)\w+ feature", note)
    return features[..., ::step]


def _numbers(pattern: str, text: str) -> list:
    """Return the numbers a pattern finds in a sentence of the fixture."""
    found = re.search(pattern, text)
    assert found, f"the fixture says {text!r}, want something like {pattern!r}"
    return [float(number) if "." in number else int(number) for number in found.groups()]
