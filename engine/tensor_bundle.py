"""Checkpoints of TensorFlow ("tensor bundles") read without TensorFlow; nothing in them is run.

NAME.index is a sorted string table in LevelDB's format (blocks of keys that share beginnings, a
footer that tells where they are); its values are small protocol buffers, one a tensor: type, shape,
and where the numbers lie in NAME.data-00000-of-00001, as raw little-endian bytes with a checksum.

References
----------
tensorflow/core/protobuf/tensor_bundle.proto, tensorflow/core/lib/io/format.h (Apache-2.0).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = 0xDB4775248B80FB57  # the last eight bytes of every table
_FOOTER, _TRAILER = 48, 5  # bytes; a block ends with its compression and a checksum
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how a protocol buffer writes a field


class BundleError(ValueError):
    """The files are no whole tensor bundle; the message says what is wrong with which."""


@dataclass(frozen=True)
class _Entry:
    """Where one tensor lies."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int


def read_bundle(index: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a checkpoint.

    Parameters
    ----------
    index : Path
        The file NAME.index; NAME.data-... must lie beside it.

    Returns
    -------
    dict of str to array
        By the names of the variables, in the layout of TensorFlow; the optimizer's are among them.

    Raises
    ------
    BundleError
        If a file is missing, cut short or altered, or holds what is no array of numbers.
    """
    try:
        table = dict(_table(index.read_bytes()))
        header = _fields(table.pop(b""))
        n_shards = header.get(1, 1)
        entries = {key.decode(): _entry(value) for key, value in table.items()}
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise BundleError(f"{index.name}: not a readable index of a checkpoint ({error})") from None
    if header.get(2):
        raise BundleError(f"{index.name}: written on a big-endian machine, which is not read")
    shards = [_shard(index, number, n_shards) for number in range(n_shards)]
    return {name: _tensor(index, name, entry, shards) for name, entry in entries.items()}


def _shard(index: Path, number: int, n_shards: int) -> bytes:
    """Return the bytes of one data file."""
    path = index.with_suffix(f".data-{number:05}-of-{n_shards:05}")
    if not path.is_file():
        raise BundleError(f"{index.name}: {path.name} is missing; it has to lie beside the index")
    return path.read_bytes()


def _tensor(index: Path, name: str, entry: _Entry, shards: list[bytes]) -> np.ndarray:
    """Cut one tensor out of the data and check it."""
    content = shards[entry.shard][entry.offset : entry.offset + entry.size]
    n_bytes = int(np.prod(entry.shape, dtype=np.int64)) * np.dtype(entry.dtype).itemsize
    if len(content) != entry.size or entry.size != n_bytes:
        raise BundleError(f"{index.name}: the data of {name!r} are cut short")
    if masked_crc32c(content) != entry.checksum:
        raise BundleError(f"{index.name}: the data of {name!r} do not fit their checksum")
    return np.frombuffer(content, entry.dtype).reshape(entry.shape).copy()


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a sorted string table."""
    if len(content) < _FOOTER or struct.unpack("<Q", content[-8:])[0] != MAGIC:
        raise ValueError("it does not end as one")
    footer = content[-_FOOTER:]
    _, at = _varint(footer, 0)  # where the index of names of filters lies: there are none
    _, at = _varint(footer, at)
    for _, handle in _block(content, *_handle(footer, at)):
        yield from _block(content, *_handle(handle, 0))


def _handle(content: bytes, at: int) -> tuple[int, int]:
    """Return offset and size of a block."""
    offset, at = _varint(content, at)
    return offset, _varint(content, at)[0]


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of one block; a key repeats the beginning of the one before it."""
    block = content[offset : offset + size]
    trailer = content[offset + size : offset + size + _TRAILER]
    kind, checksum = struct.unpack("<BI", trailer)
    if masked_crc32c(block + trailer[:1]) != checksum:
        raise ValueError("a block does not fit its checksum")
    if kind:
        raise ValueError("it is compressed")
    n_restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = len(block) - 4 * (n_restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        n_bytes, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + n_bytes]
        at += own + n_bytes


def _entry(content: bytes) -> _Entry:
    """Read the protocol buffer of a tensor: its type, shape and place."""
    told = _fields(content)
    if told.get(1) not in _DTYPES or 7 in told:
        raise ValueError(f"type {told.get(1)} or slices, where whole arrays of numbers are read")
    sizes = [_fields(size).get(1, 0) for number, size in _pairs(told.get(2, b"")) if number == 2]
    places = (told.get(number, 0) for number in (3, 4, 5, 6))
    return _Entry(_DTYPES[told[1]], tuple(sizes), *places)


def _fields(content: bytes) -> dict[int, Any]:
    """Return the fields of a protocol buffer {number: value}; of repeated ones the last."""
    return dict(_pairs(content))


def _pairs(content: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of every field of a protocol buffer; values are int or bytes."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, kind = tag >> 3, tag & 7
        value: Any
        if kind == _VARINT:
            value, at = _varint(content, at)
        elif kind == _BYTES:
            n_bytes, at = _varint(content, at)
            value, at = content[at : at + n_bytes], at + n_bytes
        elif kind in (_FIXED32, _FIXED64):
            width = 4 if kind == _FIXED32 else 8
            value, at = int.from_bytes(content[at : at + width], "little"), at + width
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        yield number, value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number written in groups of seven bits, and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _crc_table() -> list[int]:
    """Return the remainders of all bytes by Castagnoli's polynomial, bits reversed."""
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        rows.append(byte)
    return rows


_CRC = _crc_table()


def masked_crc32c(content: bytes) -> int:
    """Return the CRC-32C of `content` as these files store it: turned by 15 bits, and shifted."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
