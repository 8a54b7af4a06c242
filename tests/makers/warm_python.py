"""A `python` that starts at once: forked from a process that has imported what takes seconds.

    python warm_python.py serve SOCKET [yasa]    in the working folder; ready when SOCKET is there
    python warm_python.py run SOCKET ...         what `python ...` would do there, in milliseconds

The tests of the pages run a hundred commands; the imports alone would be minutes of a processor. A
command is a process of its own, with its own folder, environment, input and output, as it would be.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

# What our programs import that takes long
SLOW = (
    *("torch", "pandas", "mne", "sklearn.linear_model", "matplotlib.pyplot", "scipy.signal"),
    "yasa",
)


def serve(address: str, *, stages: bool) -> None:
    """Answer until the process that started this one ends it."""
    sys.path[0] = str(Path.cwd())  # not the folder of this file
    for module in SLOW:
        __import__(module)
    if stages:
        _compile()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(connection)
            connection.close()


def _compile() -> None:
    """Let YASA compute its features once: what it compiles then takes seconds.

    It stages nothing: its classifier starts threads, which a fork would wait for in vain.
    """
    import mne
    import numpy as np
    import yasa

    noise = np.random.default_rng(0).normal(0, 2e-5, (1, 100 * 30 * 20))
    raw = mne.io.RawArray(noise, mne.create_info(["C4"], 100, "eeg", verbose=False), verbose=False)
    yasa.SleepStaging(raw, eeg_name="C4").fit()


def _answer(connection: socket.socket) -> None:
    """Run one command and send its status; never returns. A crash sends none."""
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = _run(json.loads(message), streams)
    with suppress(BrokenPipeError):  # whoever asked has given up
        connection.sendall(str(status).encode())
    os._exit(0)


def _run(asked: dict, streams: list[int]) -> int:
    """Be `python ARGUMENTS` in the folder and with the environment of whoever asked."""
    for own, theirs in enumerate(streams):
        os.dup2(theirs, own)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    try:
        if asked["arguments"][0] == "-m":
            sys.argv = asked["arguments"][1:]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = asked["arguments"]
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter ends with any error
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def ask(address: str, arguments: list[str]) -> int:
    """Let the warm process run a command and return its status, 1 after a crash."""
    if arguments[0] != "-m" and not arguments[0].endswith(".py"):
        os.execv(sys.executable, [sys.executable, *arguments])  # not one of ours
    asked = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(asked).encode()], [0, 1, 2])
        return int(connection.recv(16) or 1)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], stages=sys.argv[3:] == ["yasa"])
    raise SystemExit(ask(sys.argv[2], sys.argv[3:]))
