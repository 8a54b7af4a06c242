"""Published weights: what is fetched is checked, and what is not right leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import json
import urllib.request
from email.message import Message
from pathlib import Path

import pytest
import torch

import models
import preprocess.fetch.transfer
from engine import weights
from engine.checkpoint import save_weights
from engine.weights import WeightError

ADDRESS = "https://example.org/model.pth"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a manifest of one file that lies in `origin/`."""
    file = tmp_path / "origin" / "model.pth"
    file.parent.mkdir()
    torch.save({"a": torch.ones(3)}, file)
    row = {
        "name": "toy",
        "filename": "model.pth",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "size": file.stat().st_size,
        "licence": "MIT",
        "source": "nobody",
        "model": "sleepgpt",
        "address": ADDRESS,
    }
    hand = {"name": "hand", "by_hand": "lies on a shared drive", "sha256": None, "size": None}
    tree = {"name": "tree", "filename": "t.safetensors", "address": "", "sha256": None}
    folder = tmp_path / "weights"
    folder.mkdir()
    rows = [row, {**row, "address": "", **hand}, {**row, **tree, "size": None}]
    (folder / "manifest.json").write_text(json.dumps(rows))
    monkeypatch.setattr(weights, "FOLDER", folder)
    monkeypatch.setattr(preprocess.fetch.transfer, "PAUSES_S", ())
    monkeypatch.setenv("NIGHTSTACK_WEIGHTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


def origin(cache: Path) -> Path:
    """The file as published."""
    return cache.parent / "origin" / "model.pth"


def reply(content: bytes, content_type: str = "application/octet-stream", length: int = -1):
    """What a server answers."""
    answer = io.BytesIO(content)
    answer.headers = Message()
    answer.headers["Content-Type"] = content_type
    answer.headers["Content-Length"] = str(len(content) if length < 0 else length)
    return answer


def nothing_left(cache: Path) -> bool:
    """Whether the cache holds no file at all."""
    return not cache.exists() or not any(path.is_file() for path in cache.rglob("*"))


def test_a_file_address_a_path_a_folder_and_a_mirror_all_work(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = origin(cache)
    asked = []
    monkeypatch.setattr(
        urllib.request,
        "urlopen",
        lambda request, timeout: asked.append(request.full_url) or reply(file.read_bytes()),
    )
    for source in (file.as_uri(), str(file), str(file.parent), "https://mirror.org/w/", ""):
        found = weights.get("toy", source)
        assert found.read_bytes() == file.read_bytes()
        found.unlink()
    assert asked == [file.as_uri()] * 3 + ["https://mirror.org/w/model.pth", ADDRESS]


def test_a_real_file_address_is_read(cache: Path) -> None:
    assert weights.get("toy", origin(cache).as_uri()) == cache / "toy.pth"
    assert weights.verify("toy") == "good"
    assert weights.get("toy", "file:/nowhere") == cache / "toy.pth"  # there already


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda good: reply(b"<html>", "text/html"), "answers with a web page"),
        (lambda good: reply(good[:50], length=len(good)), "broke off after 50 of"),
        (lambda good: reply(good[:50]), "has 50 bytes, the published file"),
        (lambda good: reply(bytes(len(good))), "another or a damaged file"),
    ],
)
def test_a_wrong_download_is_refused_and_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch, answer, said: str
) -> None:
    good = origin(cache).read_bytes()
    monkeypatch.setattr(urllib.request, "urlopen", lambda request, timeout: answer(good))
    with pytest.raises(WeightError, match=said):
        weights.get("toy")
    assert nothing_left(cache)


def test_an_interrupted_download_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = reply(origin(cache).read_bytes())
    pieces = iter([b"first piece"])

    def read(size: int) -> bytes:
        for piece in pieces:
            return piece
        raise KeyboardInterrupt

    broken.read1 = read
    monkeypatch.setattr(urllib.request, "urlopen", lambda request, timeout: broken)
    with pytest.raises(KeyboardInterrupt):
        weights.get("toy")
    assert nothing_left(cache)


def test_without_a_network_the_error_says_what_to_do(cache: Path) -> None:
    with pytest.raises(WeightError, match=r"get toy --source FILE"):
        weights.get("toy", "https://no.such.host.invalid/model.pth")
    with pytest.raises(WeightError, match="lies on a shared drive"):
        weights.get("hand")
    with pytest.raises(WeightError, match="no weights 'toys'; there are toy, hand, tree"):
        weights.get("toys")
    assert nothing_left(cache)


def test_a_file_without_a_published_hash_is_taken_and_its_hash_told(cache: Path) -> None:
    weights.get("hand", str(origin(cache)))
    assert "no published hash; SHA-256 is" in weights.verify("hand")


def test_verify_tells_absent_good_and_changed(cache: Path) -> None:
    assert weights.verify("toy") == "absent"
    file = weights.get("toy", str(origin(cache)))
    assert weights.verify("toy") == "good"
    file.write_bytes(bytes(file.stat().st_size))
    for use in (weights.verify, weights.get):
        with pytest.raises(WeightError, match="damaged"):
            use("toy")


def test_tensors_of_another_model_are_not_converted(cache: Path) -> None:
    weights.get("toy", str(origin(cache)))
    with pytest.raises(ValueError, match="published weights lack"):
        weights.convert("toy")
    assert not list(cache.glob("*.safetensors"))


def test_weights_of_the_tree_and_files_of_ours_are_loaded(cache: Path) -> None:
    torch.manual_seed(0)
    model = models.create("sleepgpt", width=12, n_heads=2, n_layers=1, n_positions=8)
    save_weights(weights.FOLDER / "t.safetensors", model, {"nights": 3})
    for name, licence in (("tree", "MIT"), (weights.FOLDER / "t.safetensors", None)):
        loaded, card = weights.load(name)
        assert card["nights"] == 3
        assert card.get("licence") == licence
        assert torch.equal(loaded.tokens.weight, model.tokens.weight)


def test_every_entry_of_the_manifest_is_complete() -> None:
    for entry in weights.manifest().values():
        assert entry.licence
        assert entry.in_tree or entry.address.startswith("https://") or entry.by_hand
        assert entry.sha256 is None or len(entry.sha256) == 64
        assert entry.sha256 or entry.by_hand


def test_weights_in_the_tree_are_those_of_the_manifest() -> None:
    for entry in weights.manifest().values():
        if entry.in_tree:
            assert weights.verify(entry.name) == "good"
            card = weights.load(entry.name)[1]
            assert card.get("sources") or card["datasets"]


@pytest.mark.data("upstream_weights/sleepgpt")
def test_published_weights_are_fetched_converted_and_loaded(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSTACK_WEIGHTS", str(tmp_path))
    source = shared_data / "upstream_weights/sleepgpt/output/gpt_shhs_pretrained"
    weights.get("sleepgpt-shhs-60", str(source))
    model, card = weights.load("sleepgpt-shhs-60")
    assert model.config.n_positions == 60
    assert card["licence"] == "Apache-2.0"
    assert sum(p.numel() for p in model.parameters()) == 88_080
