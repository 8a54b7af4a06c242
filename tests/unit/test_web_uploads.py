"""Uploads: known by content, never by name, never larger than allowed."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from web import uploads
from web.refusal import Refusal
from web.uploads import check_announced, receive, shown_name, suffix_of


async def pieces(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def taken(folder: Path, *parts: bytes, limit: int = 10_000) -> Path:
    return asyncio.run(receive(pieces(parts), folder, limit))


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("night 1.EDF", "night 1"),
        ("../../etc/passwd", "passwd"),
        ("C:\\patients\\x.bdf", "x"),
        ("..", "recording"),
        ("", "recording"),
        ("<img src=x onerror=alert(1)>.edf", "img srcx onerroralert1"),
        ("a\x00\x1b[31m\u202e\r\nb.fif", "a31mb"),
        ("ｎ" * 300, "n" * 80),
        (".hidden", "hidden"),
    ],
)
def test_names_are_made_safe(sent: str, shown: str) -> None:
    assert shown_name(sent) == shown


def test_content_decides_the_format_whatever_the_name() -> None:
    assert suffix_of(b"0       X X X X") == ".edf"
    assert suffix_of(b"\xffBIOSEMI") == ".bdf"
    assert suffix_of(b"\x00\x00\x00\x64\x00\x00\x00\x1f\x00\x00") == ".fif"


def test_an_archive_is_refused_as_one_before_anything_is_unpacked(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("night.edf", bytes(10_000_000))
    with pytest.raises(Refusal, match="an archive") as refused:
        taken(tmp_path, bomb.getvalue(), limit=1 << 20)
    assert refused.value.status == 415
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sent", [b"<html>", b"%PDF-1.7", b"\x1f\x8b\x08", b"MZ\x90\x00", b"0"])
def test_what_is_no_recording_is_refused(sent: bytes, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        taken(tmp_path, sent)
    assert refused.value.status == 415


def test_bytes_arrive_whole_in_small_and_large_pieces(tmp_path: Path) -> None:
    content = b"0       " + bytes(range(256)) * 12_000
    parts = [content[:3], b"", content[3:9], content[9:2_500_000], content[2_500_000:]]
    path = taken(tmp_path, *parts, limit=len(content))
    assert path.name == "recording.edf"
    assert path.read_bytes() == content


def test_more_than_the_limit_is_refused_while_it_comes(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        taken(tmp_path, b"0       ", *[bytes(4000)] * 1000)
    assert refused.value.status == 413
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 10_000


def test_too_much_is_refused_when_it_is_announced(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="10,000 MB are announced") as refused:
        check_announced(10 * 10**9, 10**9, tmp_path)
    assert refused.value.status == 413


def test_an_upload_that_falls_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SILENCE_S", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield b"0       "
        await asyncio.sleep(30)

    with pytest.raises(Refusal) as refused:
        asyncio.run(receive(silent(), tmp_path, 1000))
    assert refused.value.status == 408


def test_nothing_sent_is_said(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="Nothing was sent"):
        taken(tmp_path)
