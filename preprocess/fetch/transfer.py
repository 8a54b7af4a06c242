"""One file from the network: whole and checked, or not at all.

A file is written as `<name>.part` and renamed when its length and checksum are those of the source.
A transfer that breaks off is tried again and goes on where it stopped. Whatever else goes wrong (a
web page in place of data, another length, another checksum, a full disk) leaves nothing behind.

An address may hold `{VARIABLE}`: the value of that environment variable is put in when the
connection is made and stands nowhere else: not in messages, not in files, not among arguments.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError

T = TypeVar("T")

CHUNK = 1 << 18  # bytes per read at most
TIMEOUT_S = 60.0
PAUSES_S = (2.0, 8.0, 30.0)  # before the second, third and fourth attempt
SLOWEST = 1000  # bytes within TIMEOUT_S; a server slower than this counts as silent
AGENT = "nightstack"  # some holders refuse the name urllib gives itself

_LATER = (408, 425, 429, 500, 502, 503, 504)  # statuses that may pass
_PAGE = (b"<!doctype html", b"<html")
_SECRET = re.compile(r"\{(\w+)\}")


class DownloadError(ValueError):
    """A file cannot be had; the message says why."""


class Missing(DownloadError):
    """The server knows no such file."""


class Interrupted(DownloadError):
    """A transfer broke off; another attempt may go on from there."""


class SourceError(DownloadError):
    """No other file can be had either: a refused token, a full disk."""


class Unreachable(SourceError):
    """There is no connection; another attempt may find one."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at its source.

    Parameters
    ----------
    path : str
        Where it belongs below the raw folder, `/` between folders.
    address : str
        With `{VARIABLE}` in place of a secret.
    size : int or None
        Bytes, where the source tells.
    checksum : str
        `sha256:...` or `md5:...` in hexadecimal; "" where the source states none.

    Raises
    ------
    DownloadError
        If the path leads out of the folder: names come from the source and are not trusted.
    """

    path: str
    address: str
    size: int | None = None
    checksum: str = ""

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.path).parts
        if not parts or ".." in parts or re.search(r"^/|[\\\x00-\x1f]", self.path):
            raise DownloadError(f"the source lists a file {self.path!r}: no name for a file here")

    @property
    def resumable(self) -> bool:
        """Whether the source tells enough to judge a file put together from two transfers."""
        return bool(self.checksum) and self.size is not None


def download(
    file: RemoteFile,
    target: Path,
    *,
    progress: Callable[[int], None] = lambda n_bytes: None,
    keep_part: bool = True,
) -> None:
    """Fetch `file` and write it to `target`, replacing what is there.

    Parameters
    ----------
    file : RemoteFile
    target : Path
    progress : callable
        Told how many bytes of the file are here, after every piece; what it raises ends the
        transfer.
    keep_part : bool
        After a transfer that broke off for good, leave what came of it, so that the next call goes
        on from there.

    Raises
    ------
    Interrupted
        If it broke off at every attempt.
    SourceError
        If there is no connection, the token is refused or the disk is full.
    DownloadError
        If the source has no such file, or what it sends is not the file.
    """
    own = "" if keep_part else f".{os.getpid()}"  # several processes may fetch at once
    part = target.with_name(f"{target.name}{own}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        attempted(lambda: _attempt(file, part, progress), PAUSES_S)
        part.replace(target)
    except (Interrupted, Unreachable, KeyboardInterrupt):
        if not (keep_part and file.resumable):
            part.unlink(missing_ok=True)
        raise
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SourceError(
            f"the disk of {target.parent} is full: free some space, the same command goes on"
        ) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def read(address: str) -> bytes:
    """Return what lies at an address, such as a list of files; tries a second time.

    Raises
    ------
    DownloadError
        As `download`.
    """
    return attempted(lambda: _read(address), PAUSES_S[:1])


def size_of(address: str) -> int | None:
    """Return how many bytes lie at an address without fetching them; None if it does not tell."""

    def ask() -> int | None:
        with opened(address, method="HEAD") as reply:
            _refuse_page(address, reply, b"")
            return _promised(reply)

    return attempted(ask, PAUSES_S[:1])


def attempted(action: Callable[[], T], pauses_s: Sequence[float]) -> T:
    """Return the result of `action`, tried again after pauses when the network fails it."""
    for pause in pauses_s:
        try:
            return action()
        except (Interrupted, Unreachable):
            time.sleep(pause)
    return action()


def check(file: RemoteFile, path: Path, where: str = "") -> None:
    """Refuse a file whose length or checksum is not that of the source.

    Raises
    ------
    DownloadError
        Naming `where` (by default the path), what it has and what was published.
    """
    where = where or str(path)
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        raise DownloadError(f"{where} has {size} bytes, the published file {file.size}")
    kind, _, published = file.checksum.partition(":")
    if published and (found := hexdigest(path, kind)) != published.lower():
        raise DownloadError(
            f"{where} has {kind.upper()} {found[:16]}..., the published file {published[:16]}...; "
            "it is another or a damaged file"
        )


def hexdigest(path: Path, kind: str = "sha256") -> str:
    """Return the checksum of a file in hexadecimal."""
    with path.open("rb") as opened_file:
        return hashlib.file_digest(opened_file, kind).hexdigest()


@contextmanager
def opened(
    address: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
) -> Iterator[Any]:
    """Yield the reply of a server; whatever the network does wrong is one sentence.

    Raises
    ------
    DownloadError
        Of the kind that tells whether another attempt, or another file, has a chance.
    """
    request = urllib.request.Request(
        _SECRET.sub(lambda found: secret(found[1]), address),
        headers={"User-Agent": AGENT, **(headers or {})},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            yield reply
    except HTTPError as error:
        error.close()
        raise _refusal(address, error) from None
    except (HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
        raise Interrupted(_hidden(f"{address} broke off ({error})", address)) from None
    except URLError as error:
        kind = DownloadError if request.type == "file" else Unreachable
        raise kind(_hidden(f"{address} cannot be read ({error.reason})", address)) from None


def secret(variable: str) -> str:
    """Return the token that an environment variable holds.

    Raises
    ------
    SourceError
        If it holds none, or more than a token; the value is not told.
    """
    value = os.environ.get(variable, "").strip()
    if not re.fullmatch(r"[\w.~-]+", value):
        found = "holds more than a token" if value else "is not set"
        raise SourceError(f"the environment variable {variable} {found}; put your own token there")
    return value


def _attempt(file: RemoteFile, part: Path, progress: Callable[[int], None]) -> None:
    """Fetch what is missing of `part` and check the whole."""
    begun = part.stat().st_size if file.resumable and part.exists() else 0
    if begun == 0 or begun != file.size:
        _transfer(file, part, begun if begun < (file.size or 0) else 0, progress)
    try:
        check(file, part, file.address)
    except DownloadError as error:
        part.unlink()
        if begun:  # perhaps only the older piece was wrong
            raise Interrupted(str(error)) from None
        raise


def _transfer(file: RemoteFile, part: Path, begun: int, progress: Callable[[int], None]) -> None:
    """Write what lies at the address to `part`, behind the bytes it has if the server can do so."""
    ranged = {"Range": f"bytes={begun}-"} if begun else {}
    with opened(file.address, ranged) as reply:
        _refuse_page(file.address, reply, b"")
        here = begun if begun and _goes_on(file, reply, begun) else 0
        promised = _promised(reply)
        total = file.size if promised is None else here + promised
        if None not in (file.size, total) and total != file.size:
            raise DownloadError(f"{file.address} has {total} bytes, the published file {file.size}")
        with part.open("ab" if here else "wb") as out:
            for piece in _pieces(file.address, reply):
                if not here:
                    _refuse_page(file.address, reply, piece)
                here += out.write(piece)
                progress(here)
            out.flush()
            os.fsync(out.fileno())
    if total is not None and here < total:
        raise Interrupted(f"{file.address} broke off after {here} of {total} bytes; try again")


def _goes_on(file: RemoteFile, reply: Any, begun: int) -> bool:
    """Tell whether the reply is what follows after `begun` bytes; False if it is the whole file."""
    if getattr(reply, "status", None) != 206:
        return False
    wanted = f"bytes {begun}-{(file.size or 0) - 1}/{file.size}"
    if (given := reply.headers.get("Content-Range", "")) != wanted:
        raise DownloadError(f"{file.address} answers with {given or 'no range'}, not with {wanted}")
    return True


def _pieces(address: str, reply: Any) -> Iterator[bytes]:
    """Yield what comes, as it comes; refuse a server that only trickles."""
    came, since = 0, time.monotonic()
    while piece := reply.read1(CHUNK):
        yield piece
        came += len(piece)
        if time.monotonic() - since > TIMEOUT_S:
            if came < SLOWEST:
                raise Interrupted(f"{address} sent {came} bytes in {TIMEOUT_S:g} s; try again")
            came, since = 0, time.monotonic()


def _read(address: str) -> bytes:
    """Return what lies at an address."""
    with opened(address) as reply:
        content = b"".join(_pieces(address, reply))
        _refuse_page(address, reply, content)
        promised = _promised(reply)
    if promised is not None and len(content) < promised:
        raise Interrupted(f"{address} broke off after {len(content)} of {promised} bytes")
    return content


def _promised(reply: Any) -> int | None:
    """Return how many bytes the reply says it has."""
    length = reply.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _refuse_page(address: str, reply: Any, start: bytes) -> None:
    """Refuse a web page where no web page was asked for."""
    says_so = reply.headers.get_content_type() == "text/html"
    if address.endswith((".html", ".htm")):
        return
    if says_so or start[:200].lstrip().lower().startswith(_PAGE):
        told = f"{address} answers with a web page, not with a file"
        if named := _SECRET.search(address):
            raise SourceError(f"{told}: the token in {named[1]} is not granted this data set")
        raise DownloadError(told)


def _refusal(address: str, error: HTTPError) -> DownloadError:
    """Return what a status of the server means."""
    told = _hidden(f"{address} answers {error.code} {error.reason}".rstrip(), address)
    if error.code in _LATER:
        return Interrupted(told)
    named = _SECRET.search(address)
    if error.code in (401, 403) and named:
        return SourceError(f"{told}: the token in {named[1]} is wrong or not granted this data set")
    return Missing(told) if error.code == 404 else DownloadError(told)


def _hidden(text: str, address: str) -> str:
    """Return `text` with the names of secrets in place of their values."""
    for name in _SECRET.findall(address):
        text = text.replace(secret(name), f"{{{name}}}")
    return text
