"""Weights on disk: ours describe themselves, foreign ones are read without running their code."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import models
from engine.checkpoint import CheckpointError, load_weights, read_foreign, save_weights


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return Path.touch, (self.file,)


def tiny() -> nn.Module:
    """A small registered model."""
    torch.manual_seed(0)
    return models.create("sleepgpt", width=12, n_heads=2, n_layers=1, n_positions=8)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_checkpoint_that_hides_code_is_refused_and_not_run(tmp_path: Path, writer: str) -> None:
    file, made = tmp_path / "weights.pth", tmp_path / "made_by_the_checkpoint"
    content = {"state_dict": {"w": torch.ones(2)}, "extra": Trap(made)}
    if writer == "torch":
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(CheckpointError, match=r"weights\.pth: refused: .* could run code"):
        read_foreign(file)
    assert not made.exists()
    torch.load(file, weights_only=False) if writer == "torch" else pickle.loads(file.read_bytes())
    assert made.exists()  # the trap works: only the reader kept it shut


@pytest.mark.parametrize("holder", [None, "state_dict", "model_state_dict"])
def test_state_dicts_are_found_where_training_codes_put_them(
    tmp_path: Path, holder: str | None
) -> None:
    file, tensors = tmp_path / "w.pth", {"a": torch.ones(2), "b": torch.zeros(1)}
    torch.save({holder: tensors, "epoch": 3} if holder else tensors, file)
    assert set(read_foreign(file)) == {"a", "b"}


def test_scores_stored_as_numpy_numbers_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    scores = {"eval_acc": np.float64(0.8), "eval_f1": np.float32(0.7)}
    torch.save({"model_state_dict": {"a": torch.ones(2)}, **scores}, file)
    assert torch.equal(read_foreign(file)["a"], torch.ones(2))


def test_arrays_of_an_npz_file_are_tensors_and_objects_are_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    np.savez(good, a=np.arange(3, dtype=np.float32))
    np.savez(bad, a=np.array([Trap(tmp_path / "made")], dtype=object))
    assert torch.equal(read_foreign(good)["a"], torch.arange(3.0))
    with pytest.raises(CheckpointError, match=r"bad\.npz"):
        read_foreign(bad)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("name", ["w.pth", "w.npz", "w.safetensors"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_foreign(tmp_path / name)


def test_what_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="'epoch' is no tensor"):
        read_foreign(tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="no such weight file"):
        read_foreign(tmp_path / "absent.pth")


def test_saved_weights_come_back_as_the_same_model_with_their_card(tmp_path: Path) -> None:
    model, file = tiny().eval(), tmp_path / "w.safetensors"
    save_weights(file, model, {"licence": "CC0", "nights": 3})
    again, card = load_weights(file)
    ids = torch.arange(8)[None] % 5
    assert torch.equal(again(ids), model(ids))
    assert again.config == model.config
    assert not again.training
    assert card == {"licence": "CC0", "nights": 3}


def test_loading_is_strict(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = tmp_path / "w.safetensors"
    save_weights(file, tiny())
    tensors = load_file(file)
    for config, said in (('{"n_layers": 2}', "weights lack"), ('{"n_layers": 1}', "has shape")):
        save_file(tensors, file, {"model": "sleepgpt", "config": config, "card": "{}"})
        with pytest.raises(CheckpointError, match=rf"w\.safetensors: .*{said}"):
            load_weights(file)
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match="does not say which model"):
        load_weights(file)


def test_a_model_nobody_registered_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Linear is not in the model registry"):
        save_weights(tmp_path / "w.safetensors", nn.Linear(2, 2))
    assert not list(tmp_path.iterdir())
