"""What a data set's holder offers: the list of files with lengths and checksums, by kind of source.

PhysioNet  SHA256SUMS.txt beside the files of a version; lengths from the server
Zenodo     the record as JSON, with lengths and MD5
OpenNeuro  the public listing of its bucket: lengths, and ETags, which are the MD5 of files that
           were uploaded in one piece (a dash marks the others: their length alone is checked)
NSRR       the JSON interface of sleepdata.org, folder by folder, with lengths and MD5; the token is
           the reader's own, from the environment variable NSRR_TOKEN
addresses  files below a plain address, named in the data set's facts; no checksums
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from preprocess.dataset import Source
from preprocess.fetch.transfer import DownloadError, RemoteFile, SourceError, read, secret

TOKEN = "NSRR_TOKEN"
HOSTS = {
    "physionet": "https://physionet.org",
    "zenodo": "https://zenodo.org",
    "openneuro": "https://s3.amazonaws.com/openneuro.org",
    "nsrr": "https://sleepdata.org",
}
_WILD = re.compile(r"[*?\[]")
_S3 = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def listing(source: Source) -> list[RemoteFile]:
    """Return the files of a source that its data set needs, sorted by path.

    Parameters
    ----------
    source : Source
        Of a kind that can be fetched.

    Raises
    ------
    DownloadError
        If the list cannot be had, is no list, or has none of the files.
    """
    found = sorted(_LISTINGS[source.kind](source), key=lambda file: file.path)
    wanted = tuple(source.archives) or source.files
    files = [file for file in found if matches(file.path, wanted)]
    if not files:
        raise DownloadError(f"{source.page} lists no file {', '.join(wanted)}")
    return files


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Tell whether a path is of one of the patterns; `*` goes through folders."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _physionet(source: Source) -> Iterator[RemoteFile]:
    """Yield the files of one version of a PhysioNet project."""
    base = f"{HOSTS['physionet']}/files/{source.name}"
    address = f"{base}/SHA256SUMS.txt"
    for line in _text(address).splitlines():
        checksum, _, path = line.partition(" ")
        path = path.lstrip(" *")
        if not re.fullmatch(r"[0-9a-f]{64}", checksum) or not path:
            raise DownloadError(f"{address}: {line[:80]!r} is no checksum with a path")
        yield RemoteFile(path, f"{base}/{quote(path)}", checksum=f"sha256:{checksum}")


def _zenodo(source: Source) -> Iterator[RemoteFile]:
    """Yield the files of a Zenodo record."""
    address = f"{HOSTS['zenodo']}/api/records/{source.name}"
    for entry in _entries(address, _json(address), "files"):
        path, size = _fields(address, entry, key=str, size=int)
        content = f"{address}/files/{quote(path)}/content"
        yield RemoteFile(path, content, size, str(entry.get("checksum") or ""))


def _openneuro(source: Source) -> Iterator[RemoteFile]:
    """Yield the files of an OpenNeuro data set from the listing of its bucket, page by page."""
    query = {"list-type": "2", "prefix": f"{source.name}/"}
    while query:
        address = f"{HOSTS['openneuro']}?{urlencode(query)}"
        page = _xml(address)
        for entry in page.iter(f"{_S3}Contents"):
            key, size, tag = (entry.findtext(_S3 + name, "") for name in ("Key", "Size", "ETag"))
            path, tag = key.removeprefix(query["prefix"]), tag.strip('"')
            if not path or path.endswith("/"):
                continue
            md5 = f"md5:{tag}" if re.fullmatch(r"[0-9a-f]{32}", tag) else ""
            yield RemoteFile(path, f"{HOSTS['openneuro']}/{quote(key)}", int(size), md5)
        token = page.findtext(f"{_S3}NextContinuationToken", "")
        query = query | {"continuation-token": token} if token else {}


def _nsrr(source: Source) -> Iterator[RemoteFile]:
    """Yield the files of an NSRR data set in the folders that matter."""
    try:
        secret(TOKEN)
    except SourceError as error:
        raise SourceError(
            f"{error}. It stands at {HOSTS['nsrr']}/token after signing in; {source.name} needs: "
            f"{source.apply}"
        ) from None
    account = f"{HOSTS['nsrr']}/api/v1/account/profile.json?auth_token={{{TOKEN}}}"
    if _json(account).get("authenticated") is not True:
        raise SourceError(f"{HOSTS['nsrr']} does not know the token in {TOKEN}")
    wanted = tuple(source.archives) or source.files
    folders = [""]
    while folders:
        query = urlencode({"path": folders.pop()})
        api = f"{HOSTS['nsrr']}/api/v1/datasets/{quote(source.name)}"
        address = f"{api}/files.json?{query}&auth_token={{{TOKEN}}}"
        for entry in _entries(address, _json(address)):
            path, is_file = _fields(address, entry, full_path=str, is_file=bool)
            if is_file:
                yield _nsrr_file(source.name, path, entry)
            elif _leads_to(path, wanted):
                folders.append(path)


def _nsrr_file(name: str, path: str, entry: dict[str, Any]) -> RemoteFile:
    """Return one file of an NSRR data set; the word behind /m/ tells the site who asks."""
    address = f"{HOSTS['nsrr']}/datasets/{quote(name)}/files/a/{{{TOKEN}}}/m/nightstack"
    size, md5 = entry.get("file_size"), entry.get("file_checksum_md5")
    return RemoteFile(path, f"{address}/{quote(path)}", size, f"md5:{md5}" if md5 else "")


def _addresses(source: Source) -> Iterator[RemoteFile]:
    """Yield the files that the facts name; what no pattern names cannot be listed."""
    for path in (*source.archives, *source.files):
        if not _WILD.search(path):
            yield RemoteFile(path, f"{source.name.rstrip('/')}/{quote(path)}")


def _leads_to(folder: str, patterns: Sequence[str]) -> bool:
    """Tell whether files of one of the patterns may lie in a folder or below it."""
    fixed = (_WILD.split(pattern, maxsplit=1)[0] for pattern in patterns)
    return any(f"{folder}/".startswith(start) or start.startswith(f"{folder}/") for start in fixed)


def _text(address: str) -> str:
    """Return a text."""
    try:
        return read(address).decode("utf-8")
    except UnicodeDecodeError:
        raise DownloadError(f"{address} is no text") from None


def _json(address: str) -> Any:
    """Return what a JSON text says."""
    try:
        return json.loads(_text(address))
    except json.JSONDecodeError as error:
        raise DownloadError(f"{address} is not JSON: {error}") from None


def _xml(address: str) -> ElementTree.Element:
    """Return the root of an XML text."""
    try:
        return ElementTree.fromstring(_text(address))
    except ElementTree.ParseError as error:
        raise DownloadError(f"{address} is not XML: {error}") from None


def _entries(address: str, found: Any, key: str = "") -> list[dict[str, Any]]:
    """Return a list of objects, or that below `key` of an object."""
    entries = found.get(key) if key and isinstance(found, dict) else found
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise DownloadError(f"{address} lists no files; has the interface of the site changed?")
    return entries


def _fields(address: str, entry: dict[str, Any], **kinds: type) -> tuple[Any, ...]:
    """Return fields of an entry, each of its type."""
    for name, kind in kinds.items():
        if not isinstance(entry.get(name), kind):
            raise DownloadError(f"{address}: an entry without {name}; has the interface changed?")
    return tuple(entry[name] for name in kinds)


_LISTINGS: dict[str, Callable[[Source], Iterator[RemoteFile]]] = {
    "physionet": _physionet,
    "zenodo": _zenodo,
    "openneuro": _openneuro,
    "nsrr": _nsrr,
    "address": _addresses,
}
