"""`app.py` as people and scripts use it, and as those who mean it harm."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from recordings.edf import EdfRecording
from recordings.scoring import read_scoring
from recordings.simulate import simulate_night
from tests.makers.page_server import ROOT, Server, running, settled, uploaded
from web.folder import MARK, PREFIX

LIMIT_MB = 20


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nights") / "night.edf"
    simulate_night(1, hours=0.2, montage="sleepedf").write(path)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with running(folder, "--max-upload-mb", str(LIMIT_MB)) as server:
        yield server
    assert not list(folder.glob("nightstack-*")), "uploads are left behind"


@pytest.fixture
def visitor(server: Server) -> Iterator[Any]:
    with server.client() as client:
        yield client
        for night in client.get("/api/nights").json():
            client.delete(f"/api/nights/{night['id']}")


@pytest.fixture(scope="module")
def staged(server: Server, recording: Path) -> Iterator[tuple[Any, dict]]:
    """A visitor with a staged night."""
    with server.client() as client:
        night = uploaded(client, recording)
        answer = client.post(f"/api/nights/{night['id']}/staging", json={"decoder": "greedy"})
        assert answer.status_code == 202, answer.text
        yield client, settled(client, night["id"])


def test_a_script_goes_from_upload_to_result(staged: tuple[Any, dict]) -> None:
    client, night = staged
    assert night["jobs"]["stage"]["error"] == ""
    result = client.get(f"/api/nights/{night['id']}/result").json()
    assert len(result["stages"]) == len(result["proba"]) == 24
    assert result["facts"]["simulated"] == [
        "The recording is simulated: no person slept this night."
    ]
    assert {"tst_min", "se_percent"} <= {row["name"] for row in result["statistics"]}
    assert result["alarms"][0]["name"] in ("too short", "nap instead of night")
    assert set(night["jobs"]["stage"]["seconds"]) >= {"read", "stage", "correct", "write"}


def test_the_script_of_the_documentation_runs(
    server: Server, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs/web.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "night.edf").write_bytes(recording.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(script.replace("http://127.0.0.1:8050", server.url), {})
    assert len((tmp_path / "hypnogram.csv").read_text().splitlines()) == 25


def test_a_view_is_the_filtered_signal(staged: tuple[Any, dict], recording: Path) -> None:
    client, night = staged
    (signal_row,) = (row for row in night["signals"] if row["key"] == "0")
    query = {"keys": "0,1", "from_s": 60, "to_s": 70, "columns": 2000}
    answer = client.get(f"/api/nights/{night['id']}/signals", params=query).content
    (length,) = struct.unpack("<I", answer[:4])
    head = json.loads(answer[4 : 4 + length])
    assert [piece["key"] for piece in head["signals"]] == ["0", "1"]
    numbers = np.frombuffer(answer, "<i2", head["signals"][0]["count"], 4 + length)
    values = signal_row["centre"] + signal_row["step"] * numbers
    raw = EdfRecording(recording).read(0)[6000:7000]
    assert np.corrcoef(values[:1000], raw)[0, 1] > 0.8  # the filter takes the slowest waves


def test_scoring_undo_and_every_export_agree(staged: tuple[Any, dict], tmp_path: Path) -> None:
    client, night = staged
    at = f"/api/nights/{night['id']}"
    before = client.get(f"{at}/result").json()["stages"]
    told = client.put(
        f"{at}/stages", json=[{"epoch": 5, "stage": "N3"}, {"epoch": 6, "stage": "R"}]
    )
    assert [change["after"] for change in told.json()["changes"]] == ["N3", "R"]
    undone = client.post(f"{at}/undo").json()
    assert undone["changes"][0]["epoch"] == 6
    for kind in ("csv", "edf", "txt", "xlsx", "json"):
        answer = client.get(f"{at}/hypnogram.{kind}")
        assert f"recording-1-hypnogram.{kind}" in answer.headers["content-disposition"]
        (tmp_path / f"h.{kind}").write_bytes(answer.content)
        read = read_scoring(tmp_path / f"h.{kind}").hypnogram.stages
        assert read[5] == 3, kind
        assert read[6] == before[6], kind
    report = client.get(f"{at}/report.html")
    assert "scored again by a person" in report.text
    assert "sandbox" in report.headers["content-security-policy"]
    client.post(f"{at}/undo")
    assert client.get(f"{at}/result").json()["stages"] == before


def test_the_name_of_a_file_leaves_the_page_only_when_asked(
    visitor: Any, recording: Path, tmp_path: Path
) -> None:
    night = uploaded(visitor, recording, "Jane Doe 1970.edf")
    at = f"/api/nights/{night['id']}"
    assert (night["name"], night["title"]) == ("Jane Doe 1970", "recording 1 (EDF)")
    visitor.post(f"{at}/staging", json={"decoder": "none", "channels": {"C4": "#1"}})
    settled(visitor, night["id"])
    report = visitor.get(f"{at}/report.html?save=true")
    assert "Jane" not in report.text
    assert "Jane" not in report.headers["content-disposition"]
    assert "Jane" not in json.dumps(visitor.get(f"{at}/result").json())
    assert "recording 1 (EDF)" in report.text
    assert hashlib.sha256(recording.read_bytes()).hexdigest() in report.text
    assert "--no-correction --channel" in report.text  # how to do it again without the page
    visitor.put(f"{at}/naming", json={"show_file_name": True})
    report = visitor.get(f"{at}/report.html?save=true")
    assert "Jane Doe 1970" in report.text
    assert "Jane%20Doe%201970-report.html" in report.headers["content-disposition"]
    visitor.put(f"{at}/naming", json={"show_file_name": False})
    assert "Jane" not in visitor.get(f"{at}/report.html").text
    assert uploaded(visitor, recording)["title"] == "recording 2 (EDF)"


def test_visitors_never_see_each_other(staged: tuple[Any, dict], visitor: Any) -> None:
    _, night = staged
    assert visitor.get("/api/nights").json() == []
    at = f"/api/nights/{night['id']}"
    for path in (at, f"{at}/result", f"{at}/hypnogram.csv", f"{at}/report.html"):
        assert visitor.get(path).status_code == 404
    assert visitor.delete(at).status_code == 404
    assert visitor.put(f"{at}/stages", json=[{"epoch": 0, "stage": "W"}]).status_code == 404


def test_channels_named_by_hand_are_used_or_refused(visitor: Any, recording: Path) -> None:
    night = uploaded(visitor, recording)
    at = f"/api/nights/{night['id']}"
    rows = visitor.put(f"{at}/channels", json={"channels": {"C4": "#0-#1", "E1": ""}}).json()
    found = {row["target"]: row for row in rows}
    assert (found["C4"]["plus"], found["C4"]["minus"]) == (0, 1)
    assert found["E1"]["plus"] is None
    assert "0-1" in {row["key"] for row in visitor.get(at).json()["signals"]}
    for wrong in ({"C4": "#99"}, {"C9": "#0"}):
        refused = visitor.put(f"{at}/channels", json={"channels": wrong})
        assert refused.status_code == 422
        assert str(night["id"]) not in refused.text


@pytest.mark.parametrize("stager", ["/etc/passwd", "../x.safetensors", "lpsgm-block4", "yasa,x"])
def test_a_stager_is_a_name_that_is_offered_never_a_path(
    visitor: Any, recording: Path, stager: str
) -> None:
    night = uploaded(visitor, recording)
    answer = visitor.post(f"/api/nights/{night['id']}/staging", json={"stager": stager})
    assert answer.status_code == 422
    assert "No stager" in answer.json()["error"]


def test_header_text_is_never_shown(visitor: Any, recording: Path, tmp_path: Path) -> None:
    content = bytearray(recording.read_bytes())
    content[8:88] = b"X F 01-JAN-1970 Jane_Secret".ljust(80)
    path = tmp_path / "named.edf"
    path.write_bytes(content)
    night = uploaded(visitor, path)
    assert night["jobs"]["look"]["error"] == ""
    assert "Secret" not in json.dumps(night)
    assert "1970" not in json.dumps(night)


# ---------------------------------------------------------------------------------- hostile uploads


def post(visitor: Any, content: Any, name: str = "night.edf", **headers: str) -> Any:
    return visitor.post("/api/nights", params={"name": name}, content=content, headers=headers)


def test_wrong_types_and_bombs_leave_nothing(server: Server, visitor: Any) -> None:
    import zipfile

    before = server.uploads
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("night.edf", bytes(50_000_000))
    for content in (bomb.getvalue(), b"<script>alert(1)</script>", b"MZ" * 5000, b""):
        answer = post(visitor, content)
        assert answer.status_code in (400, 415), answer.text
    assert server.uploads == before


def test_a_damaged_recording_is_refused_with_its_reason(visitor: Any, recording: Path) -> None:
    answer = post(visitor, recording.read_bytes()[:300])
    night = settled(visitor, answer.json()["id"])
    assert night["jobs"]["look"]["state"] == "failed"
    assert night["jobs"]["look"]["error"].startswith("night")
    assert "/tmp" not in night["jobs"]["look"]["error"]


@pytest.mark.parametrize(
    ("place", "told"),
    [(236, b"99999999"), (244, b"1e300   "), (252, b"9999"), (184, b"99999999")],
    ids=["records", "seconds", "signals", "header"],
)
def test_a_header_that_lies_about_sizes_costs_nothing(
    server: Server, visitor: Any, recording: Path, place: int, told: bytes
) -> None:
    content = bytearray(recording.read_bytes())
    content[place : place + len(told)] = told
    peak_mb = server.peak_mb
    night = settled(visitor, post(visitor, bytes(content)).json()["id"])
    look = night["jobs"]["look"]
    assert look["state"] == "failed" or night["recording"]["notes"]  # refused, or repaired
    assert "unforeseen" not in look["error"]
    assert server.peak_mb - peak_mb < 50


def test_a_path_in_the_name_goes_nowhere(server: Server, visitor: Any, recording: Path) -> None:
    night = uploaded(visitor, recording, "../../../escaped/<b>night</b>.edf")
    assert night["name"] == "b"  # what stands behind the last stroke
    assert not list(server.temporary.rglob("*escaped*"))
    files = [path for folder in server.uploads for path in folder.iterdir() if path.is_file()]
    assert {path.name for path in files} == {"recording.edf"}


def test_ten_gigabytes_are_refused_before_they_are_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.settimeout(10)
        line.sendall(
            b"POST /api/nights?name=x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Nightstack: 1\r\n"
            b"Content-Length: 10000000000\r\n\r\n0       "
        )
        assert b" 413 " in line.recv(4096).split(b"\r\n")[0]


def test_unannounced_bytes_stop_at_the_limit(server: Server, visitor: Any) -> None:
    before = server.uploads

    def endless() -> Iterator[bytes]:
        yield b"0       "
        for _ in range(LIMIT_MB * 3):
            yield bytes(1 << 20)

    with suppress(httpx.TransportError):  # it may hang up while we are still sending
        assert post(visitor, endless()).status_code == 413
    assert server.uploads == before


def test_a_cut_connection_leaves_nothing(server: Server) -> None:
    before = server.uploads
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(
            b"POST /api/nights?name=x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Nightstack: 1\r\n"
            b"Content-Length: 9000000\r\n\r\n0       " + bytes(2_000_000)
        )
        assert _soon(lambda: len(server.uploads) == len(before) + 1)
    assert _soon(lambda: server.uploads == before)


def test_two_hundred_requests_at_once_are_served_or_refused(
    server: Server, recording: Path
) -> None:
    content, before, peak_mb = recording.read_bytes(), server.uploads, server.peak_mb

    async def storm() -> list[int | str]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60) as client:
            asked = tuple(
                client.post("/api/nights", content=content, headers={"X-Nightstack": "1"})
                for _ in range(200)
            )
            answers = await asyncio.gather(*asked, return_exceptions=True)
        return [
            a.status_code if isinstance(a, httpx.Response) else type(a).__name__ for a in answers
        ]

    told = asyncio.run(storm())
    assert {code for code in told if isinstance(code, int)} <= {201, 409, 503}
    assert 201 in told
    assert sum(not isinstance(code, int) for code in told) < 200
    assert server.peak_mb - peak_mb < 150
    with server.client() as client:
        assert client.get("/api/about").status_code == 200
    assert len(server.uploads) - len(before) == told.count(201)


def test_nights_are_removed_when_asked(server: Server, recording: Path) -> None:
    with server.client() as client:
        before = server.uploads
        answer = post(client, recording.read_bytes())  # its jobs still wait or run
        assert client.delete(f"/api/nights/{answer.json()['id']}").status_code == 204
        assert _soon(lambda: server.uploads == before, 60)


def test_idle_visitors_are_forgotten(tmp_path: Path) -> None:
    from web.settings import Settings
    from web.visitors import Visitors

    visitors = Visitors(Settings(keep_s=0.0))
    try:
        with visitors.upload("somebody", "night"):
            pass
        assert len(visitors.nights("somebody")) == 1
        time.sleep(0.01)
        visitors.forget_idle()
        assert visitors.nights("somebody") == {}
        assert [path.name for path in visitors.folder.iterdir()] == [MARK]
    finally:
        visitors.close()
    assert not visitors.folder.exists()


def test_refused_visitors_take_no_place(tmp_path: Path) -> None:
    from web.refusal import Refusal
    from web.settings import Settings
    from web.visitors import Visitors, new_id

    visitors = Visitors(Settings(max_visitors=2))
    try:
        for _ in range(5):
            with pytest.raises(Refusal, match="no"), visitors.upload(new_id(), "night"):
                raise Refusal(415, "no")
        for _ in range(2):
            with visitors.upload(new_id(), "night"):
                pass
        with pytest.raises(Refusal, match="Too many people"), visitors.upload(new_id(), "night"):
            pass
        assert len([path for path in visitors.folder.iterdir() if path.is_dir()]) == 2
    finally:
        visitors.close()


def test_the_next_server_removes_what_a_killed_one_left_and_nothing_else(
    tmp_path: Path, recording: Path
) -> None:
    others = tmp_path / f"{PREFIX}others"  # of the same name, but none of ours made it
    (others / "night").mkdir(parents=True)
    with running(tmp_path) as killed, running(tmp_path) as alive:
        for server in (killed, alive):
            with server.client() as client:
                night = post(client, recording.read_bytes()).json()["id"]
                client.post(f"/api/nights/{night}/staging", json={})
        workers = _children(killed.process.pid)
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait(30)
        assert workers
        assert _soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        left = {path.parent for path in tmp_path.glob(f"*/{MARK}")}
        assert len(left) == 2
        with running(tmp_path) as fresh:
            now = {path.parent for path in tmp_path.glob(f"*/{MARK}")}
            assert len(left & now) == 1  # of the one that lives
            assert len(now) == 2
            assert any(path.parent in left & now for path in fresh.uploads)
            assert (others / "night").is_dir()
    assert list(tmp_path.iterdir()) == [others]


# -------------------------------------------------------------------------------------- the script


def test_help_and_a_dry_run() -> None:
    told = subprocess.run(
        [sys.executable, ROOT / "app.py", "--help"], capture_output=True, text=True, check=True
    )
    assert "--max-upload-mb" in told.stdout
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, ROOT / "app.py", "--dry-run", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{port}/" in done.stdout


@pytest.mark.parametrize(
    ("stager", "reason"),
    [("no-such", "there are yasa"), ("yasa,no-such", "there are yasa"), ("lpsgm-block4", "")],
)
def test_a_stager_that_is_not_here_is_refused_in_one_sentence(stager: str, reason: str) -> None:
    from engine.weights import entry

    if not reason and entry(stager).converted.exists():
        pytest.skip(f"the weights of {stager} are on this machine")
    command = [sys.executable, ROOT / "app.py", "--dry-run", "--port", "0", "--stager", stager]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("app.py: error: --stager ")
    assert (reason or f"main_weights.py get {stager}") in done.stderr
    assert done.stderr.count("\n") == 1
    assert "http://" not in done.stdout


def test_a_port_that_is_taken_is_told_in_one_sentence_and_no_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, ROOT / "app.py", "--dry-run", "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert f"port {port}: Address already in use" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_server_for_others_wants_a_token_and_takes_its_uploads_with_it(
    tmp_path: Path, recording: Path
) -> None:
    with running(tmp_path, "--host", "0.0.0.0") as server:
        assert server.process.stdout is not None
        line = server.process.stdout.readline().decode()
        token = line.split("#")[1].split()[0]
        with server.client() as client:
            assert client.get("/api/nights").status_code == 401
            assert post(client, recording.read_bytes()).status_code == 401
            assert client.post("/api/token", json={"token": "guess"}).status_code == 401
            assert client.post("/api/token", json={"token": token}).status_code == 200
            assert post(client, recording.read_bytes()).status_code == 201
        assert server.uploads
        os.kill(server.process.pid, signal.SIGTERM)
        server.process.wait(30)
        assert not list(tmp_path.iterdir())


def _children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]


def _soon(true: Any, seconds: float = 20) -> bool:
    """Wait until something becomes true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False
