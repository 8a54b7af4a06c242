"""A recording comes in: piece by piece to disk, known by its content, never by its name."""

from __future__ import annotations

import asyncio
import re
import shutil
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

from web.refusal import Refusal

FILE = "recording"  # what an upload is called on disk, in a folder of random name
SUFFIXES = (".edf", ".bdf", ".fif")
SILENCE_S = 60.0  # an upload that sends nothing so long is given up
LEAST_FREE = 1 << 30  # bytes that uploads leave on the disk
_PIECE = 1 << 20  # bytes gathered before they are written
_LONGEST_NAME = 80
# A FIF file begins with the tag FIFF_FILE_ID (100) of type 31, big-endian.
_FIF = b"\x00\x00\x00\x64\x00\x00\x00\x1f"
_MAGIC = {b"0       ": ".edf", b"\xffBIOSEMI": ".bdf", _FIF: ".fif"}
_REFUSED = {
    b"PK": "an archive (ZIP)",
    b"\x1f\x8b": "an archive (gzip)",
    b"7z\xbc\xaf": "an archive (7-Zip)",
    b"Rar!": "an archive (RAR)",
    b"\xfd7zXZ": "an archive (xz)",
    b"BZh": "an archive (bzip2)",
    b"\x28\xb5\x2f\xfd": "an archive (zstd)",
    b"\x89HDF": "an HDF5 file, which may point at other files",
    b"MATLAB": "a MATLAB file, which may point at other files",
    b"Brain Vi": "a BrainVision header, whose signals stand in another file",
    b"%PDF": "a PDF",
    b"<": "a text of markup",
}


def shown_name(name: str) -> str:
    """Return a name that can be shown, and be part of a download's name, whatever was sent.

    No folder, no control or formatting character, nothing but letters, digits, blank, `._-`; at
    most 80 characters; the ending of a recording is left out.
    """
    text = unicodedata.normalize("NFKC", name).replace("\\", "/").rpartition("/")[2]
    text = re.sub(r"[^\w .-]", "", text)
    text = re.sub(r"\.(edf|bdf|fif|rec)$", "", text, flags=re.IGNORECASE)
    return " ".join(text.split()).strip(". ")[:_LONGEST_NAME].strip(". ") or "recording"


def suffix_of(head: bytes) -> str:
    """Return the suffix that the first bytes of a recording call for.

    Raises
    ------
    Refusal
        If they are of no format that is taken here; 415.
    """
    for magic, suffix in _MAGIC.items():
        if head.startswith(magic):
            return suffix
    found = next((what for magic, what in _REFUSED.items() if head.startswith(magic)), "")
    told = f"this is {found}" if found else "this is none of them"
    raise Refusal(415, f"EDF, BDF and FIF recordings are taken here, and {told}.")


def check_announced(announced: int | None, limit: int, folder: Path) -> None:
    """Refuse what is announced too large, before a byte of it is read."""
    if announced is not None and announced > limit:
        raise Refusal(413, f"{_mb(announced)} are announced; at most {_mb(limit)} are taken.")
    if shutil.disk_usage(folder).free - (announced or 0) < LEAST_FREE:
        raise Refusal(507, "There is not enough room on this machine now; try again later.")


async def receive(pieces: AsyncIterator[bytes], folder: Path, limit: int) -> Path:
    """Write an upload into `folder` and return the file; memory holds a piece of a megabyte.

    Raises
    ------
    Refusal
        If it is larger than `limit` bytes, empty, of another type, or falls silent.
    """
    head = await _first(pieces)
    path = folder / f"{FILE}{suffix_of(bytes(head))}"
    written, buffer = 0, head
    with path.open("xb") as file:
        while True:
            piece = await _next(pieces)
            buffer += piece
            if written + len(buffer) > limit:
                raise Refusal(413, f"More than {_mb(limit)} came; that is the limit.")
            if len(buffer) >= _PIECE or not piece:
                await asyncio.to_thread(file.write, bytes(buffer))
                written += len(buffer)
                buffer = bytearray()
            if not piece:
                return path


async def _first(pieces: AsyncIterator[bytes]) -> bytearray:
    """Return the first bytes, enough to know the format by."""
    head = bytearray()
    while len(head) < 8 and (piece := await _next(pieces)):
        head += piece
    if not head:
        raise Refusal(400, "Nothing was sent: the recording is the body of the request.")
    return head


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    """Return the next piece that is not empty, or an empty one at the end."""
    try:
        async with asyncio.timeout(SILENCE_S):
            while (piece := await anext(pieces, None)) is not None:
                if piece:
                    return piece
    except TimeoutError:
        raise Refusal(408, "The upload fell silent and was given up.") from None
    return b""


def _mb(n_bytes: int) -> str:
    """Return a size in megabytes."""
    return f"{n_bytes / 1e6:,.0f} MB"
