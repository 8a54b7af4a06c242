"""The page as a person starts it: `app.py` in its own process, uploads in a known place."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STARTS_S, STAGES_S = 90, 240  # on a busy machine


@dataclass(frozen=True)
class Server:
    """A running server: its port, its process, the folder its temporary folders are made in."""

    port: int
    process: subprocess.Popen
    temporary: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def uploads(self) -> list[Path]:
        """Return the folders of uploads that are there now."""
        pages = self.temporary.glob("nightstack-*")
        return [path for page in pages for path in page.iterdir() if path.is_dir()]

    @property
    def cpu_s(self) -> float:
        """Return the CPU seconds the server itself has used, its workers not counted."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_mb(self) -> float:
        """Return the most memory the server itself has held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024

    def client(self) -> Any:
        """Return a visitor of its own."""
        import httpx

        return httpx.Client(base_url=self.url, headers={"X-Nightstack": "1"}, timeout=STAGES_S)


@contextmanager
def running(temporary: Path, *arguments: str) -> Iterator[Server]:
    """Run `app.py` on a free port and end it as Ctrl+C does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "app.py"), "--port", str(port), *arguments]
    environment = os.environ | {"TMPDIR": str(temporary)}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _await(port, process)
        yield Server(port, process, temporary)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def uploaded(client: Any, path: Path, name: str = "") -> dict[str, Any]:
    """Upload a recording and wait until it is drawn."""
    answer = client.post(
        "/api/nights", params={"name": name or path.name}, content=path.read_bytes()
    )
    assert answer.status_code == 201, answer.text
    return settled(client, answer.json()["id"])


def settled(client: Any, night_id: str) -> dict[str, Any]:
    """Wait until no job of a night waits or works, and return the night."""
    end = time.monotonic() + STAGES_S
    while time.monotonic() < end:
        night = client.get(f"/api/nights/{night_id}").json()
        if all(job["state"] not in ("waiting", "working") for job in night["jobs"].values()):
            return night
        time.sleep(0.1)
    raise AssertionError(f"still at work: {night['jobs']}")


def _await(port: int, process: subprocess.Popen) -> None:
    """Wait until the server takes connections."""
    end = time.monotonic() + STARTS_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(process.stdout.read().decode())  # type: ignore[union-attr]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not start")
