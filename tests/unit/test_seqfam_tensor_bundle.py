"""TensorFlow's checkpoints: read whole or refused, and the same as tensors taken out of them."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from engine import weights
from engine.checkpoint import CheckpointError, read_foreign
from engine.tensor_bundle import MAGIC, masked_crc32c, read_bundle
from models import published

ORIGINAL = "upstream_weights/sleep_transfer_learning/original/1chan_eeg"


def varint(value: int) -> bytes:
    """A number in groups of seven bits."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A block of a table, in which every key repeats as much as it can of the one before."""
    body, before = b"", b""
    for key, value in pairs:
        shared = next((i for i, (a, b) in enumerate(zip(key, before)) if a != b), len(before))  # noqa: B905
        shared = min(shared, len(key))
        body += varint(shared) + varint(len(key) - shared) + varint(len(value))
        body += key[shared:] + value
        before = key
    body += struct.pack("<II", 0, 1)
    return body + b"\0" + struct.pack("<I", masked_crc32c(body + b"\0"))


def write_bundle(folder: Path, tensors: dict[str, np.ndarray]) -> Path:
    """A checkpoint as TensorFlow writes it, and the path of its index."""
    data, pairs = b"", [(b"", b"\x08\x01")]
    types = {np.dtype("f4"): 1, np.dtype("i8"): 9}
    for name, array in sorted(tensors.items()):
        shape = b"".join(
            b"\x12" + varint(1 + len(varint(n))) + b"\x08" + varint(n) for n in array.shape
        )
        content = array.tobytes()
        entry = b"\x08" + varint(types[array.dtype]) + b"\x12" + varint(len(shape)) + shape
        entry += b"\x20" + varint(len(data)) + b"\x28" + varint(len(content))
        entry += b"\x35" + struct.pack("<I", masked_crc32c(content))
        pairs.append((name.encode(), entry))
        data += content
    first = block(pairs)
    names = block([(b"z", varint(0) + varint(len(first) - 5))])
    handles = varint(0) * 2 + varint(len(first)) + varint(len(names) - 5)
    index = folder / "toy.ckpt.index"
    index.write_bytes(first + names + handles.ljust(40, b"\0") + struct.pack("<Q", MAGIC))
    (folder / "toy.ckpt.data-00000-of-00001").write_bytes(data)
    return index


TENSORS = {
    "layer/weights": np.arange(300, dtype=np.float32).reshape(3, 100),
    "layer/weights/Adam": np.ones((3, 100), np.float32),
    "global_step": np.array(70_320),
}


def test_a_known_checksum_is_computed() -> None:
    # RFC 3720, B.4: CRC-32C of 32 zero bytes is 8A9136AA; masked as these files store it
    plain = 0x8A9136AA
    masked = (((plain >> 15) | (plain << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc32c(bytes(32)) == masked


def test_every_tensor_comes_back(tmp_path: Path) -> None:
    found = read_bundle(write_bundle(tmp_path, TENSORS))
    assert set(found) == set(TENSORS)
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def altered(path: Path, at: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda index, data: altered(data, 100), "do not fit their checksum"),
        (lambda index, data: altered(index, 20), "a block does not fit its checksum"),
        (lambda index, data: altered(index, -1), "does not end as one"),
        (lambda index, data: data.write_bytes(data.read_bytes()[:-1]), "are cut short"),
        (lambda index, data: index.write_bytes(index.read_bytes()[60:]), "not a readable index"),
        (lambda index, data: data.unlink(), r"toy.ckpt.data-00000-of-00001 is missing"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, spoil, message: str) -> None:
    index = write_bundle(tmp_path, TENSORS)
    spoil(index, tmp_path / "toy.ckpt.data-00000-of-00001")
    with pytest.raises(CheckpointError, match=message):
        read_foreign(index)


@pytest.mark.data(ORIGINAL)
def test_the_published_checkpoint_is_the_model_of_its_extracted_tensors(shared_data: Path) -> None:
    original = read_foreign(shared_data / ORIGINAL / "pretrained_model.ckpt.index")
    extracted = shared_data / ORIGINAL / "../../seqsleepnet_mass200_1chan_eeg.npz"
    ours = published.load("seqsleepnet", original).state_dict()
    theirs = published.load("seqsleepnet", read_foreign(extracted)).state_dict()
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name].numpy(), tensor.numpy(), err_msg=name)


@pytest.mark.data(ORIGINAL)
def test_the_published_checkpoint_is_fetched_with_its_data_and_converted(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSTACK_WEIGHTS", str(tmp_path))
    weights.get("seqsleepnet-mass-eeg", str(shared_data / ORIGINAL))
    assert weights.verify("seqsleepnet-mass-eeg") == "good"
    model, card = weights.load("seqsleepnet-mass-eeg")
    assert model.config.channels == ("EEG",)
    assert model.config.statistics == "night"
    assert card["licence"] == "CC-BY-NC-4.0"


@pytest.mark.data(ORIGINAL)
def test_a_checkpoint_without_its_data_leaves_nothing_behind(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSTACK_WEIGHTS", str(tmp_path / "cache"))
    (tmp_path / "half").mkdir()
    shutil.copy(shared_data / ORIGINAL / "pretrained_model.ckpt.index", tmp_path / "half")
    with pytest.raises(weights.WeightError, match="pretrained_model.ckpt.data-00000-of-00001"):
        weights.get("seqsleepnet-mass-eeg", str(tmp_path / "half"))
    assert not [path for path in tmp_path.rglob("cache/*") if path.is_file()]


@pytest.mark.data("upstream_weights/sleep_transfer_learning")
@pytest.mark.parametrize(
    ("name", "file", "channels"),
    [
        ("seqsleepnet-mass-eeg", "1chan_eeg", ("EEG",)),
        ("seqsleepnet-mass-eog", "1chan_eog", ("EOGh",)),
        ("seqsleepnet-mass-eegeog", "2chan_eegeog", ("EEG", "EOGh")),
    ],
)
def test_all_three_released_sets_load_from_extracted_tensors(
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    file: str,
    channels: tuple[str, ...],
) -> None:
    monkeypatch.setenv("NIGHTSTACK_WEIGHTS", str(tmp_path))
    folder = shared_data / "upstream_weights/sleep_transfer_learning"
    weights.get(name, str(folder / f"seqsleepnet_mass200_{file}.npz"))
    assert weights.verify(name) == "good"
    assert weights.load(name)[0].config.channels == channels
