"""Getting a data set: whole and checked, or nothing; and the token stays where it is."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import main_preprocess
import preprocess
from preprocess import fetch
from preprocess.dataset import Dataset, DatasetSpec, Source
from preprocess.fetch import archives, get, sources, transfer
from preprocess.fetch.transfer import DownloadError, RemoteFile, SourceError
from tests.makers.bad_server import PAGE, BadServer, bad_server

DATA = bytes(range(256)) * 40  # one night of 10,240 bytes
TOKEN = "4711-very_secret-token"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BadServer]:
    """A server that stands for every holder; no pauses between attempts."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer, "PAUSES_S", (0.0, 0.0, 0.0))
    with bad_server() as running:
        monkeypatch.setattr(sources, "HOSTS", dict.fromkeys(sources.HOSTS, running.address))
        yield running


def dataset(kind: str, name: str, **facts) -> Dataset:
    """A data set of which nothing matters but its source."""
    source = Source(kind, page="https://holder.org/toy", name=name, **facts)
    return Dataset(DatasetSpec("TOY", "Toy", source, channels={}), lambda raw: iter(()))


def physionet(server: BadServer, n_files: int = 5) -> Dataset:
    """A PhysioNet project of a few nights, and a file that no recipe reads."""
    lines = []
    for i in range(n_files):
        content = DATA + bytes([i])
        server.files[f"/files/toy/1.0/nights/SN{i} PSG.edf".replace(" ", "%20")] = content
        lines.append(f"{hashlib.sha256(content).hexdigest()} nights/SN{i} PSG.edf")
    lines.append(f"{'0' * 64}  docs/manual.pdf")
    server.files["/files/toy/1.0/SHA256SUMS.txt"] = "\n".join(lines).encode()
    return dataset("physionet", "toy/1.0", files=("nights/*",))


def nsrr(server: BadServer, *, known: bool = True) -> Dataset:
    """An NSRR data set of two nights in two folders, and a folder that does not matter."""

    def entry(path: str, content: bytes | None = None) -> dict:
        size, md5 = (len(content), hashlib.md5(content).hexdigest()) if content else (0, None)
        is_file = content is not None
        return {
            "full_path": path,
            "is_file": is_file,
            "file_size": size,
            "file_checksum_md5": md5,
        }

    def folder(path: str, entries: list[dict]) -> None:
        asked = path.replace("/", "%2F")
        at = f"/api/v1/datasets/toy/files.json?path={asked}&auth_token={TOKEN}"
        server.files[at] = json.dumps(entries).encode()

    profile = {"authenticated": known, "email": "someone@example.org"}
    server.files[f"/api/v1/account/profile.json?auth_token={TOKEN}"] = json.dumps(profile).encode()
    nights = [f"polysomnography/edfs/v{i}/n{i}.edf" for i in (1, 2)]
    folder("", [entry("polysomnography"), entry("images"), entry("README.md", b"read me")])
    folder("polysomnography", [entry("polysomnography/edfs"), entry("polysomnography/forms")])
    folder("polysomnography/edfs", [entry(str(Path(night).parent)) for night in nights])
    for night in nights:
        folder(str(Path(night).parent), [entry(night, DATA)])
        server.files[f"/datasets/toy/files/a/{TOKEN}/m/nightstack/{night}"] = DATA
    apply = "a data request"
    return dataset("nsrr", "toy", files=("polysomnography/edfs/*",), apply=apply)


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_physionet_files_of_the_recipe_arrive_checked(
    server: BadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = physionet(server)
    assert get(toy, tmp_path / "raw") == 0
    assert files_below(tmp_path) == {
        f"raw/nights/SN{i} PSG.edf": DATA + bytes([i]) for i in range(5)
    }
    assert "5 files fetched, 0 were there, 0 failed" in capsys.readouterr().out
    server.asked.clear()
    assert get(toy, tmp_path / "raw") == 0
    assert [one.path for one in server.asked if one.method == "GET"] == [
        "/files/toy/1.0/SHA256SUMS.txt"
    ]


def test_a_dry_run_lists_files_and_bytes_and_fetches_nothing(
    server: BadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(physionet(server), tmp_path / "raw", dry_run=True) == 0
    printed = capsys.readouterr().out
    assert "10,241         nights/SN0 PSG.edf" in printed
    assert "5 files, 51.2 kB; to come: 5 files, 51.2 kB" in printed
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("404", "answers 404"),
        ("damaged", "damaged file"),
        ("page", "web page"),
        ("cut", "broke off"),
    ],
)
def test_one_bad_file_in_the_middle_costs_only_itself(
    server: BadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, said: str
) -> None:
    toy = physionet(server)
    bad = "/files/toy/1.0/nights/SN2%20PSG.edf"
    server.faults[bad] = [fault]
    assert get(toy, tmp_path) == 1
    whole = {name for name in files_below(tmp_path) if not name.endswith(".part")}
    assert whole == {f"nights/SN{i} PSG.edf" for i in (0, 1, 3, 4)}
    printed = capsys.readouterr().out
    assert "4 files fetched, 0 were there, 1 failed" in printed
    assert said in printed.split("nights/SN2 PSG.edf  ")[1].splitlines()[0]
    server.faults.clear()
    assert get(toy, tmp_path) == 0
    assert len(files_below(tmp_path)) == 5


def test_verify_fetches_again_what_is_not_that_of_the_source(
    server: BadServer, tmp_path: Path
) -> None:
    toy = physionet(server)
    get(toy, tmp_path)
    spoiled = tmp_path / "nights/SN1 PSG.edf"
    spoiled.write_bytes(bytes(len(DATA) + 1))
    assert get(toy, tmp_path) == 0  # the length is right: believed
    assert spoiled.read_bytes() == bytes(len(DATA) + 1)
    assert get(toy, tmp_path, verify=True) == 0
    assert spoiled.read_bytes() == DATA + b"\1"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PAGE, "answers with a web page"),
        (b"nothing like it", "no checksum with a path"),
        (f"{'0' * 64}  ../../nights/a".encode(), "no name for a file here"),
        (b"", "lists no file nights/"),
        (b"\xff\xfe", "is no text"),
    ],
)
def test_a_list_that_is_no_list_stops_everything(
    server: BadServer, tmp_path: Path, content: bytes, said: str
) -> None:
    toy = physionet(server)
    server.files["/files/toy/1.0/SHA256SUMS.txt"] = content
    with pytest.raises(DownloadError, match=said):
        get(toy, tmp_path)
    assert files_below(tmp_path) == {}


def test_zenodo_archives_are_unpacked_once(server: BadServer, tmp_path: Path) -> None:
    packed = zipped({"dod/a.h5": DATA, "dod/sub/b.h5": b"b", "__MACOSX/._a": b"rubbish"})
    entries = [
        {"key": name, "size": len(packed), "checksum": f"md5:{hashlib.md5(packed).hexdigest()}"}
        for name in ("dod h.zip", "dodo.zip")
    ]
    server.files["/api/records/15"] = json.dumps({"files": entries}).encode()
    server.files["/api/records/15/files/dod%20h.zip/content"] = packed
    toy = dataset("zenodo", "15", files=("*.h5",), archives={"dod h.zip": "."})
    assert get(toy, tmp_path) == 0
    found = files_below(tmp_path)
    assert found.pop("dod h.zip.unpacked").startswith(b"unpacked")
    assert found == {"a.h5": DATA, "sub/b.h5": b"b"}
    server.asked.clear()
    assert get(toy, tmp_path) == 0
    assert [one.path for one in server.asked] == ["/api/records/15"]


def test_files_at_plain_addresses_are_measured_and_named_unproven(
    server: BadServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = zipped({"1.rec": DATA, "1_1.txt": b"5"})
    server.files |= {"/toy/I/1.rar": packed, "/toy/I/2.rar": packed}
    source = Source(
        "address",
        name=f"{server.address}/toy/",
        archives={"I/1.rar": "Group_1/1", "I/2.rar": "Group_1/2"},
    )
    toy = Dataset(DatasetSpec("TOY", "Toy", source, channels={}), lambda raw: iter(()))
    assert get(toy, tmp_path) == 0
    assert {"Group_1/1/1.rec", "Group_1/2/1_1.txt"} <= files_below(tmp_path).keys()
    assert "2 without a checksum at the source" in capsys.readouterr().out


def test_an_archive_nothing_can_unpack_is_kept_and_goes_on_later(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    server.files["/toy/1.rar"] = b"Rar!" + DATA
    source = Source("address", name=f"{server.address}/toy", archives={"1.rar": "one"})
    toy = Dataset(DatasetSpec("TOY", "Toy", source, channels={}), lambda raw: iter(()))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert get(toy, tmp_path / "raw") == 1
    assert "install one of bsdtar, unrar, unar, 7z" in capsys.readouterr().out
    assert files_below(tmp_path) == {"raw/1.rar": b"Rar!" + DATA}
    program = tmp_path / "bin/bsdtar"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n/bin/mkdir -p "$4/1"\necho 5 > "$4/1/1_1.txt"\n')
    program.chmod(0o755)
    server.asked.clear()
    assert get(toy, tmp_path / "raw") == 0
    assert files_below(tmp_path / "raw").keys() == {"one/1_1.txt", "1.rar.unpacked"}
    assert all(one.method == "HEAD" for one in server.asked)


def test_a_damaged_archive_unpacks_nothing(tmp_path: Path) -> None:
    packed = bytearray(zipped({"a": DATA, "b": DATA}))
    packed[60] ^= 1
    (tmp_path / "x.zip").write_bytes(packed)
    with pytest.raises(DownloadError, match="cannot be unpacked: Bad CRC"):
        archives.unpack(tmp_path / "x.zip", tmp_path / "out")
    assert files_below(tmp_path).keys() == {"x.zip"}


def test_openneuro_listings_go_over_pages(server: BadServer, tmp_path: Path) -> None:
    def page(keys: dict[str, str], token: str = "") -> bytes:
        contents = "".join(
            f"<Contents><Key>ds1/{key}</Key><Size>{len(DATA)}</Size><ETag>&quot;{tag}&quot;</ETag>"
            "</Contents>"
            for key, tag in keys.items()
        )
        more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        return f'<ListBucketResult xmlns="{space}">{contents}{more}</ListBucketResult>'.encode()

    md5 = hashlib.md5(DATA).hexdigest()
    first = page({"sub-1/eeg/a.edf": md5, "sub-1/other.txt": md5, "": md5}, token="a+b=")
    server.files |= {
        "/?list-type=2&prefix=ds1%2F": first,
        "/?list-type=2&prefix=ds1%2F&continuation-token=a%2Bb%3D": page({"sub-2/eeg/b.edf": "1-2"}),
        "/ds1/sub-1/eeg/a.edf": DATA,
        "/ds1/sub-2/eeg/b.edf": DATA,
    }
    toy = dataset("openneuro", "ds1", files=("sub-*/eeg/*",))
    assert [file.checksum for file in sources.listing(toy.spec.source)] == [f"md5:{md5}", ""]
    assert get(toy, tmp_path) == 0
    assert files_below(tmp_path).keys() == {"sub-1/eeg/a.edf", "sub-2/eeg/b.edf"}


def test_what_is_not_given_away_says_what_to_apply_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mass = dataset("application", "", apply="the signed agreement", licence="research")
    assert get(mass, tmp_path) == 1
    printed = capsys.readouterr().out
    assert "on application: the signed agreement" in printed
    assert "https://holder.org/toy" in printed
    assert get(dataset("private", ""), tmp_path) == 1
    assert "not given away" in capsys.readouterr().out


def test_every_data_set_can_be_got_or_says_what_to_apply_for() -> None:
    for name in preprocess.names():
        source = preprocess.find_dataset(name).spec.source
        if source.kind in ("private", "simulated"):
            continue
        assert source.page.startswith("https://"), name
        assert source.apply if source.kind in ("application", "nsrr") else source.name, name
        assert source.name if source.kind != "application" else source.apply, name
        packed = any(pattern.endswith((".zip", ".rar")) for pattern in source.archives)
        assert packed or source.kind not in ("zenodo", "address"), name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_real_full_disk_leaves_nothing_and_the_run_goes_on_after(
    server: BadServer, small_disk: Path
) -> None:
    toy = physionet(server, n_files=5)
    (small_disk / "ballast").write_bytes(bytes(40_000))
    with pytest.raises(SourceError, match="are to come, .* are free on its disk"):
        get(toy, small_disk / "raw")
    server.files["/b.edf"] = DATA * 5
    with pytest.raises(SourceError, match="is full"):
        transfer.download(RemoteFile("b.edf", f"{server.address}/b.edf"), small_disk / "b.edf")
    assert files_below(small_disk).keys() == {"ballast"}
    (small_disk / "ballast").write_bytes(b"")
    assert get(toy, small_disk / "raw", only=("nights/SN[0-2]*",)) == 0
    assert len(files_below(small_disk / "raw")) == 3


# ---- the token -----------------------------------------------------------------------------------


def test_nsrr_files_arrive_and_only_folders_that_matter_are_opened(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSRR_TOKEN", TOKEN)
    assert get(nsrr(server), tmp_path) == 0
    assert files_below(tmp_path) == {f"polysomnography/edfs/v{i}/n{i}.edf": DATA for i in (1, 2)}
    assert not any("images" in one.path or "forms" in one.path for one in server.asked)


@pytest.mark.parametrize("fault", ["401", "403", "login", "page"])
def test_a_token_without_a_grant_stops_at_once_and_leaves_nothing(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("NSRR_TOKEN", TOKEN)
    toy = nsrr(server)
    for path in [path for path in server.files if path.startswith("/datasets")]:
        server.faults[path] = [fault]
    with pytest.raises(SourceError, match="the token in NSRR_TOKEN is .*not granted") as caught:
        get(toy, tmp_path)
    assert TOKEN not in str(caught.value)
    assert files_below(tmp_path) == {}


def test_an_unknown_an_absent_and_a_malformed_token_are_told_apart(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = nsrr(server, known=False)
    monkeypatch.setenv("NSRR_TOKEN", TOKEN)
    with pytest.raises(SourceError, match="does not know the token in NSRR_TOKEN"):
        get(toy, tmp_path)
    monkeypatch.delenv("NSRR_TOKEN")
    with pytest.raises(SourceError, match=r"NSRR_TOKEN is not set.*token after.*a data request"):
        get(toy, tmp_path)
    monkeypatch.setenv("NSRR_TOKEN", "two words")
    with pytest.raises(SourceError, match="holds more than a token") as caught:
        get(toy, tmp_path)
    assert "two words" not in str(caught.value)
    assert files_below(tmp_path) == {}


@pytest.mark.parametrize("fault", ["404", "cut", "damaged", "503", "longer"])
def test_the_token_stands_in_no_file_and_no_message(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, capfd
) -> None:
    monkeypatch.setenv("NSRR_TOKEN", TOKEN)
    toy = nsrr(server)
    server.faults[next(path for path in server.files if path.startswith("/datasets"))] = [fault]
    assert get(toy, tmp_path) == 1
    assert get(toy, tmp_path, dry_run=True) == 0
    captured = capfd.readouterr()
    assert TOKEN not in captured.out + captured.err
    assert all(
        TOKEN.encode() not in content and TOKEN not in name
        for name, content in files_below(tmp_path).items()
    )


def test_a_server_that_repeats_the_token_does_not_get_it_told(
    server: BadServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSRR_TOKEN", TOKEN)
    address = f"{server.address}/{{NSRR_TOKEN}}"
    answers = transfer.HTTPError(address, 400, f"no such token {TOKEN}", None, io.BytesIO())
    monkeypatch.setattr(
        transfer.urllib.request, "urlopen", lambda *a, **k: (_ for _ in ()).throw(answers)
    )
    with pytest.raises(DownloadError, match="no such token {NSRR_TOKEN}"):
        transfer.read(address)


# ---- stopping ------------------------------------------------------------------------------------


def test_a_second_get_in_one_folder_is_refused(server: BadServer, tmp_path: Path) -> None:
    toy = physionet(server)
    with fetch._alone(tmp_path), pytest.raises(SourceError, match="another `get` is at work"):
        get(toy, tmp_path)
    assert get(toy, tmp_path) == 0


def test_an_interrupted_get_stops_its_threads_and_goes_on_later(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = physionet(server)
    slow = "/files/toy/1.0/nights/SN3%20PSG.edf"
    server.faults[slow] = ["trickle"]

    def interrupted(tasks):
        time.sleep(0.3)
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(fetch, "as_completed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get(toy, tmp_path)
    assert not any("ThreadPool" in thread.name for thread in threading.enumerate())
    begun = (tmp_path / "nights/SN3 PSG.edf.part").stat().st_size
    assert begun > 0
    server.faults.clear()
    assert get(toy, tmp_path) == 0
    assert f"bytes={begun}-" in {one.range for one in server.asked}
    assert len(files_below(tmp_path)) == 5


def test_the_command_tells_by_its_status(
    server: BadServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(sys, "argv", ["main_preprocess.py"])
    physionet(server, n_files=2)
    toy = {
        path.replace("/toy/1.0", "/hmc-sleep-staging/1.1"): c for path, c in server.files.items()
    }
    toy = {path.replace("/nights/", "/recordings/"): content for path, content in toy.items()}
    sums = "/files/hmc-sleep-staging/1.1/SHA256SUMS.txt"
    server.files = toy | {sums: toy[sums].replace(b" nights/", b" recordings/")}
    command = ["get", "hmc", "--raw", str(tmp_path)]
    assert main_preprocess.main(command) == 0
    (tmp_path / "recordings/SN1 PSG.edf").unlink()
    server.faults["/files/hmc-sleep-staging/1.1/recordings/SN1%20PSG.edf"] = ["404"]
    assert main_preprocess.main(command) == 1
    server.faults[sums] = ["page"]
    capsys.readouterr()
    assert main_preprocess.main(command) == 2
    told = capsys.readouterr().err
    assert "web page" in told
    assert told.count("\n") == 1
