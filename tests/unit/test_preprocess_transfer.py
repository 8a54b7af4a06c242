"""One file from the network: whole and checked, or nothing."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from preprocess.fetch import transfer
from preprocess.fetch.transfer import DownloadError, Interrupted, RemoteFile, SourceError
from tests.makers.bad_server import BadServer, bad_server

DATA = bytes(range(256)) * 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BadServer]:
    """A server, and no pauses between attempts."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer, "PAUSES_S", (0.0, 0.0, 0.0))
    with bad_server() as running:
        yield running


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def remote(server: BadServer, content: bytes = DATA, **facts) -> RemoteFile:
    """A file at the server, with length and checksum."""
    server.files["/night.edf"] = content
    md5 = f"md5:{hashlib.md5(content).hexdigest()}"
    known = {"size": len(content), "checksum": md5, **facts}
    return RemoteFile("night.edf", f"{server.address}/night.edf", **known)


@pytest.mark.parametrize("fault", ["fine", "redirect", "no_range"])
def test_a_file_arrives_whole_and_nothing_lies_beside_it(
    server: BadServer, tmp_path: Path, fault: str
) -> None:
    server.faults["/night.edf"] = [fault]
    told: list[int] = []
    transfer.download(remote(server), tmp_path / "a/b.edf", progress=told.append)
    assert files_below(tmp_path) == {"a/b.edf": DATA}
    assert told[-1] == len(DATA)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("page", "answers with a web page, not with a file"),
        ("disguised", "has 55 bytes, the published file 10240"),
        ("login", "answers with a web page"),
        ("damaged", "another or a damaged file"),
        ("longer", "has 10241 bytes, the published file 10240"),
        ("endless", "has 10244 bytes, the published file 10240"),
        ("401", "answers 401"),
        ("403", "answers 403"),
        ("404", "answers 404"),
    ],
)
def test_what_is_not_the_file_leaves_nothing(
    server: BadServer, tmp_path: Path, fault: str, said: str
) -> None:
    server.faults["/night.edf"] = [fault]
    with pytest.raises(DownloadError, match=said) as caught:
        transfer.download(remote(server), tmp_path / "b.edf")
    assert files_below(tmp_path) == {}
    assert "\n" not in str(caught.value)
    assert len(server.asked) <= 2  # such things do not pass: nobody asks again


def test_a_disguised_page_is_refused_where_the_source_tells_no_length(
    server: BadServer, tmp_path: Path
) -> None:
    server.faults["/night.edf"] = ["disguised"]
    with pytest.raises(DownloadError, match="answers with a web page"):
        transfer.download(remote(server, size=None, checksum=""), tmp_path / "b.edf")
    assert files_below(tmp_path) == {}


def test_what_was_there_is_kept_when_the_new_file_is_wrong(
    server: BadServer, tmp_path: Path
) -> None:
    (tmp_path / "b.edf").write_bytes(b"older")
    server.faults["/night.edf"] = ["damaged"]
    with pytest.raises(DownloadError):
        transfer.download(remote(server), tmp_path / "b.edf")
    assert files_below(tmp_path) == {"b.edf": b"older"}


def test_a_cut_transfer_goes_on_where_it_stopped(server: BadServer, tmp_path: Path) -> None:
    server.faults["/night.edf"] = ["cut", "cut", "503", "fine"]
    transfer.download(remote(server), tmp_path / "b.edf")
    assert files_below(tmp_path) == {"b.edf": DATA}
    assert [one.range for one in server.asked] == ["", "bytes=5120-", *["bytes=7680-"] * 2]


def test_a_transfer_that_stays_cut_leaves_a_part_for_the_next_call(
    server: BadServer, tmp_path: Path
) -> None:
    server.faults["/night.edf"] = ["cut"]
    file = remote(server)
    with pytest.raises(Interrupted, match="broke off after 9600 of 10240 bytes; try again"):
        transfer.download(file, tmp_path / "b.edf")
    assert files_below(tmp_path) == {"b.edf.part": DATA[:9600]}
    server.faults["/night.edf"] = ["fine"]
    transfer.download(file, tmp_path / "b.edf")
    assert server.asked[-1].range == "bytes=9600-"
    assert files_below(tmp_path) == {"b.edf": DATA}


def test_a_part_that_nothing_could_judge_is_not_kept(server: BadServer, tmp_path: Path) -> None:
    server.faults["/night.edf"] = ["cut"]
    with pytest.raises(Interrupted):
        transfer.download(remote(server, checksum=""), tmp_path / "b.edf")
    with pytest.raises(Interrupted):
        transfer.download(remote(server), tmp_path / "b.edf", keep_part=False)
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("older", [b"other bytes", DATA[:-1] + b"x", DATA + b"too long", b""])
def test_a_part_of_another_file_is_thrown_away(
    server: BadServer, tmp_path: Path, older: bytes
) -> None:
    (tmp_path / "b.edf.part").write_bytes(older)
    transfer.download(remote(server), tmp_path / "b.edf")
    assert files_below(tmp_path) == {"b.edf": DATA}


def test_a_server_without_ranges_sends_the_whole_again(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "b.edf.part").write_bytes(DATA[:100])
    server.faults["/night.edf"] = ["no_range"]
    transfer.download(remote(server), tmp_path / "b.edf")
    assert files_below(tmp_path) == {"b.edf": DATA}


def test_another_range_than_asked_for_is_refused(server: BadServer, tmp_path: Path) -> None:
    (tmp_path / "b.edf.part").write_bytes(DATA[:100])
    server.faults["/night.edf"] = ["other_range"]
    with pytest.raises(DownloadError, match="answers with bytes 0-10239/10240, not with"):
        transfer.download(remote(server), tmp_path / "b.edf")
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize(
    ("fault", "said"), [("silent", r"timed out"), ("trickle", r"sent \d+ bytes in 0.1 s")]
)
def test_a_silent_or_trickling_server_is_given_up(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(transfer, "PAUSES_S", ())
    server.faults["/night.edf"] = [fault]
    with pytest.raises(Interrupted, match=said):
        transfer.download(remote(server), tmp_path / "b.edf")


def test_no_connection_is_one_sentence(server: BadServer, tmp_path: Path) -> None:
    file = RemoteFile("a", "http://127.0.0.1:9/a", 3, "md5:0")
    with pytest.raises(SourceError, match=r"127.0.0.1:9/a cannot be read \(.*refused"):
        transfer.download(file, tmp_path / "a")
    assert files_below(tmp_path) == {}


class FullDisk(io.BytesIO):
    """A file on a disk with room for 5,000 bytes."""

    def write(self, piece) -> int:
        if self.tell() + len(piece) > 5000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(piece)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def opened(path: Path, mode: str = "r", *args, **kwargs):
        return FullDisk() if mode in ("wb", "ab") else real(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(SourceError, match="is full: free some space, the same command goes on"):
        transfer.download(remote(server), tmp_path / "b.edf")
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "a\nb", "", "a\\b"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(DownloadError, match="no name for a file here"):
        RemoteFile(path, "https://holder.org")
