"""The page at work on a night of 8 hours: from upload to picture, and answers while panning.

A server of its own gets a simulated night (about 160 MB). Seconds are those of the wall, step by
step, as a visitor waits for them; answers are timed in the client, request and all, for 12 signals
and stretches three windows wide, as the page asks. Beside it stands the straightforward way: the
same stretch cut from the whole recording, read and filtered when it is asked for, and the limit: a
request that reads no signal.

    python -m benchmarks.web
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import measure, table
from recordings.formats import open_recording
from recordings.signals import filter_resample
from recordings.simulate import simulate_night
from tests.makers.page_server import Server, running, settled
from web.pyramid import DISPLAYS

HOURS, N_SIGNALS, N_COLUMNS, REPEATS = 8, 12, 1200, 20
WINDOWS_S = (10, 30, 300, 3600, 28_800)
GOAL_MS = 50


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


def answers_ms(ask: Callable[[float], Any], width_s: float) -> list[float]:
    """Return the milliseconds of answers at places all over the night."""
    places = np.random.default_rng(0).uniform(0, max(0.0, HOURS * 3600 - width_s), REPEATS)
    taken = []
    for place in places:
        begun = time.perf_counter()
        ask(float(place))
        taken.append(1e3 * (time.perf_counter() - begun))
    return taken


def panning(server: Server, client: Any, night: dict[str, Any]) -> list[tuple]:
    """Return (window, median ms, slowest ms, mean ms of CPU in the server) of answers."""
    at = f"/api/nights/{night['id']}/signals"
    keys = ",".join(signal["key"] for signal in night["signals"][:N_SIGNALS])
    rows = []
    for width_s in WINDOWS_S:

        def ask(place: float, width_s: float = width_s) -> None:
            query = {"from_s": place - width_s, "to_s": place + 2 * width_s}
            client.get(at, params=query | {"keys": keys, "columns": 3 * N_COLUMNS})

        rows.append((f"{width_s} s", *timed(server, ask, width_s)))
    least = timed(server, lambda _: client.get("/openapi.json"), 10)
    return [*rows, ("no signal read: the limit", *least)]


def timed(server: Server, ask: Callable[[float], Any], width_s: float) -> tuple[float, ...]:
    """Return median, slowest and CPU milliseconds of an answer."""
    before_s = server.cpu_s
    taken = answers_ms(ask, width_s)
    return float(np.median(taken)), max(taken), 1e3 * (server.cpu_s - before_s) / REPEATS


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
        with running(Path(folder)) as server, server.client() as client:
            time.sleep(
                30
            )  # its workers load the stager when it starts, long before a visitor comes
            night, steps = upload(client, path)
            rows = panning(server, client, night)
            peak_mb = server.peak_mb
        size = f"{path.stat().st_size / 1e6:.0f} MB, simulated"
        slow = measure(straightforward, path, repeat=2)
    title = f"From upload to picture, 8 h, {size}"
    sys.stdout.write(table(title, ("step", "s"), [*steps]) + "\n")
    whole = (1e3 * slow.wall_s, 1e3 * slow.wall_s, 1e3 * slow.cpu_s)
    told = [*rows, ("without a pyramid: read and filter", *whole)]
    title = f"Panning, {N_SIGNALS} signals, goal {GOAL_MS} ms"
    sys.stdout.write(table(title, ("window", "median ms", "slowest ms", "CPU ms"), told) + "\n")
    sys.stdout.write(f"most memory of the server itself: {peak_mb:.0f} MB\n")


if __name__ == "__main__":
    main()
