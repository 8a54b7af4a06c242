"""The page at work on a night of 8 hours: from upload to picture, and answers while panning.

A server of its own gets a simulated night (about 160 MB). Seconds are those of the wall, step by
step, as a visitor waits for them; answers are timed in the client, request and all, for 12 signals
and stretches three windows wide, as the page asks: alone, and while another visitor's night is
being staged. "Less waits" leaves out the time in which the server could have run but other programs
had the cores (Linux tells it): what is left is its own. Beside it stand the straightforward way
(the same stretch cut from the whole recording, read and filtered when it is asked for) and the
limit: a request that reads no signal.

    python -m benchmarks.web
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import measure, table
from recordings.formats import open_recording
from recordings.signals import filter_resample
from recordings.simulate import simulate_night
from tests.makers.page_server import Server, running, settled
from web.pyramid import DISPLAYS

HOURS, N_SIGNALS, N_COLUMNS, REPEATS = 8, 12, 1200, 100
WINDOWS_S = (10, 30, 300, 3600, 28_800)
GOAL_MS = 50
PAUSE_S = 0.02  # between answers: a hand that drags
HEAD = ("", "p50 ms", "p95 ms", "p99 ms", "slowest", "CPU ms")


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces, as a browser sends it."""
    with path.open("rb") as file:
        while piece := file.read(1 << 18):
            yield piece


def upload(client: Any, path: Path) -> tuple[dict[str, Any], list[tuple[str, float]]]:
    """Upload, draw and stage; return the night and the seconds of each step."""
    begun = time.perf_counter()
    length = {"content-length": str(path.stat().st_size)}
    sent = client.post("/api/nights?name=night", content=pieces(path), headers=length)
    uploaded_s = time.perf_counter() - begun
    night = settled(client, sent.json()["id"])
    drawn_s = time.perf_counter() - begun
    client.post(f"/api/nights/{night['id']}/staging", json={"stager": "yasa"})
    night = settled(client, night["id"])
    steps = [("upload", uploaded_s), ("upload to signals on the screen", drawn_s)]
    steps += [(f"stage: {step}", s) for step, s in night["jobs"]["stage"]["seconds"].items()]
    return night, [*steps, ("upload to hypnogram", time.perf_counter() - begun)]


class Panning:
    """A visitor who drags through a night; every answer is timed.

    Parameters
    ----------
    server : Server
    client : httpx.Client
        Whose night it is.
    night : dict
        As the server tells it.
    """

    def __init__(self, server: Server, client: Any, night: dict[str, Any]) -> None:
        self.server = server
        self.line = HTTPConnection("127.0.0.1", server.port)
        self.cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        keys = ",".join(signal["key"] for signal in night["signals"][:N_SIGNALS])
        columns = 3 * N_COLUMNS
        self.address = f"/api/nights/{night['id']}/signals?keys={keys}&columns={columns}"
        self.places = np.random.default_rng(0)

    def look(self, width_s: float) -> tuple[float, float, float]:
        """Ask for one stretch; return milliseconds, those less waits, and CPU of the server."""
        place = self.places.uniform(0, max(0.0, HOURS * 3600 - width_s))
        return self.ask(f"{self.address}&from_s={place - width_s}&to_s={place + 2 * width_s}")

    def ask(self, address: str) -> tuple[float, float, float]:
        """Time one request."""
        time.sleep(PAUSE_S)
        cpu_s, waited_s, begun = self.server.cpu_s, self.server.waited_s, time.perf_counter()
        self.line.request("GET", address, headers={"cookie": self.cookie})
        self.line.getresponse().read()
        taken_s = time.perf_counter() - begun
        own_s = max(0.0, taken_s - (self.server.waited_s - waited_s))
        return 1e3 * taken_s, 1e3 * own_s, 1e3 * (self.server.cpu_s - cpu_s)


def row(name: str, answers: Sequence[tuple[float, float, float]], which: int = 0) -> tuple:
    """Return the row of some answers; `which` 1 leaves waits for a core out."""
    taken = [answer[which] for answer in answers]
    cpu_ms = float(np.mean([answer[2] for answer in answers]))
    return (name, *np.percentile(taken, [50, 95, 99]).tolist(), max(taken), cpu_ms)


def alone(panning: Panning) -> list[tuple]:
    """Return the rows of a server that does nothing else."""
    found = {width_s: [panning.look(width_s) for _ in range(REPEATS)] for width_s in WINDOWS_S}
    everything = [answer for answers in found.values() for answer in answers]
    least = [panning.ask("/api/nights/none") for _ in range(REPEATS)]
    rows = [row(f"{width_s} s", answers) for width_s, answers in found.items()]
    rows.append(row(f"all {len(everything)}", everything))
    return [*rows, row("all, less waits", everything, 1), row("no signal read", least)]


def beside_staging(panning: Panning, other: Any, path: Path) -> list[tuple]:
    """Return the rows of answers while a night of another visitor is staged."""
    length = {"content-length": str(path.stat().st_size)}
    sent = other.post("/api/nights?name=other", content=pieces(path), headers=length)
    at = f"/api/nights/{settled(other, sent.json()['id'])['id']}"
    other.post(f"{at}/staging", json={"stager": "yasa"})
    panning.line.close()  # opened anew: the server gives up one that was silent for seconds
    answers = []
    while other.get(at).json()["jobs"]["stage"]["state"] in ("waiting", "working"):
        answers += [panning.look(width_s) for width_s in WINDOWS_S]
    name = f"all {len(answers)}, beside staging"
    return [row(name, answers), row(f"{name}, less waits", answers, 1)]


def straightforward(path: Path) -> list[np.ndarray]:
    """Read and filter the signals whole and cut a stretch: what a page without a pyramid does."""
    recording, display = open_recording(path), DISPLAYS["eeg"]
    found = []
    for channel in recording.channels[:N_SIGNALS]:
        samples = recording.read(channel.position)
        rate_hz = min(channel.rate_hz, display.rate_hz)
        shown = filter_resample(samples, channel.rate_hz, rate_hz, display.response)
        stretch = shown[: 300 * int(rate_hz)]
        cuts = np.linspace(0, len(stretch) - 1, N_COLUMNS).astype(int)
        found.append(np.minimum.reduceat(stretch, cuts))
    return found


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "night.edf"
        simulate_night(1, hours=HOURS).write(path)
        with running(Path(folder)) as server, server.client() as client, server.client() as other:
            time.sleep(30)  # its workers load the stager long before a visitor comes
            night, steps = upload(client, path)
            panning = Panning(server, client, night)
            rows = [*alone(panning), *beside_staging(panning, other, path)]
            peak_mb = server.peak_mb
        size = f"{path.stat().st_size / 1e6:.0f} MB, simulated"
        slow = measure(straightforward, path, repeat=2)
    title = f"From upload to picture, 8 h, {size}"
    sys.stdout.write(table(title, ("step", "s"), [*steps]) + "\n")
    rows.append(("no pyramid: read, filter", *[1e3 * slow.wall_s] * 4, 1e3 * slow.cpu_s))
    title = f"Panning, {N_SIGNALS} signals, goal {GOAL_MS} ms, load {os.getloadavg()[0]:.0f}"
    sys.stdout.write(table(title, HEAD, rows) + "\n")
    sys.stdout.write(f"most memory of the server itself: {peak_mb:.0f} MB\n")


if __name__ == "__main__":
    main()
