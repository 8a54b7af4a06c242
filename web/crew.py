"""Worker processes: jobs wait in a queue, tell their step, and can be stopped.

A job that dies (too little memory, a crash in a reader) costs its own process, which is started
again; the page and the other jobs never notice.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal, NamedTuple

logger = logging.getLogger("nightstack")

State = Literal["waiting", "working", "done", "failed", "stopped"]
Work = Callable[..., Any]
LONGEST_S = 3600.0  # nothing this page does takes so long: a reader caught by a damaged file
_NICE = 10  # steps behind the server, whose answers a person waits for while panning
_LOOK_S = 0.2  # how often a running job is asked for news


class Job:
    """One piece of work: its state, the step it is at, seconds of each step, result or error."""

    def __init__(self, work: Work, args: tuple) -> None:
        self.work, self.args = work, args
        self.state: State = "waiting"
        self.step, self.error = "", ""
        self.seconds: dict[str, float] = {}
        self.result: Any = None
        self.finished = threading.Event()
        self._since = time.monotonic()

    def stop(self) -> None:
        """Give up on the result; a process at work on it is ended."""
        if not self.finished.is_set():
            self._end("stopped")

    def begin(self) -> None:
        """Note that a process has the job now."""
        if not self.finished.is_set():
            self.state = "working"

    def tell(self, step: str) -> None:
        """Note that the job begins a step; the time until then belongs to the step before."""
        now = time.monotonic()
        if self.step:
            name = self.step.split(" ")[0]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        else:
            self.seconds["queue"] = now - self._since
        self.step, self._since = step, now

    def succeed(self, result: Any) -> None:
        """Take the result."""
        self.result = result
        self._end("done")

    def fail(self, error: str) -> None:
        """Take the reason why there is no result."""
        self.error = error
        self._end("failed")

    def _end(self, state: State) -> None:
        """Enter a last state, once."""
        if not self.finished.is_set():
            self.tell("")
            self.state = state
            self.finished.set()


class _Worker(NamedTuple):
    """A process and our end of the pipe to it."""

    process: BaseProcess
    pipe: Connection

    def end(self) -> None:
        """Stop the process at once."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Crew:
    """Some processes that do jobs in the order they come.

    Parameters
    ----------
    n : int
        Processes; each is started with its first job.
    max_waiting : int
        Jobs that may wait.
    """

    def __init__(self, n: int, *, max_waiting: int = 64) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue(max_waiting)
        self._current: set[Job] = set()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work, *args: Any) -> Job:
        """Queue `work(*args, step=...)`, a function of a module; `step` takes a word or two.

        Raises
        ------
        queue.Full
            If too many jobs wait already.
        """
        job = Job(work, args)
        self._jobs.put_nowait(job)
        return job

    @property
    def n_waiting(self) -> int:
        """Jobs that nobody has begun."""
        return self._jobs.qsize()

    def close(self) -> None:
        """Stop every job and end the processes."""
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if job is not None:
                job.stop()
        for job in list(self._current):
            job.stop()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(timeout=10)

    def _serve(self) -> None:
        """Give one process job after job; runs in a thread."""
        worker: _Worker | None = None
        while (job := self._jobs.get()) is not None:
            if job.finished.is_set():
                continue
            self._current.add(job)
            worker = worker if worker and worker.process.is_alive() else _start()
            if not _follow(job, worker):
                worker.end()
                worker = None
            self._current.discard(job)
        if worker is not None:
            worker.end()


def _start() -> _Worker:
    """Start a fresh process: it shares nothing with the server."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _follow(job: Job, worker: _Worker) -> bool:
    """Give a job to a process and take its news; False if the process is of no more use."""
    begun = time.monotonic()
    try:
        job.begin()
        worker.pipe.send((job.work, job.args))
        while not job.finished.is_set():
            if time.monotonic() - begun > LONGEST_S:
                job.fail("it took too long and was stopped")
                return False
            if not worker.pipe.poll(_LOOK_S):
                continue
            kind, value = worker.pipe.recv()
            {"step": job.tell, "done": job.succeed, "failed": job.fail}[kind](value)
            if kind != "step":
                return True
    except (EOFError, OSError):
        job.fail("the process that worked on it ended; the file may need more memory than there is")
    return False


def _work(pipe: Connection) -> None:
    """Do jobs until the server is gone; the main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server, which ends us
    os.nice(_NICE)
    threading.Thread(target=_end_with_server, daemon=True).start()
    logging.basicConfig()
    while True:
        try:
            work, args = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(("done", work(*args, step=lambda told: pipe.send(("step", told)))))
        except (ValueError, OSError, ImportError) as error:  # a person can mend these
            pipe.send(("failed", str(error)))
        except Exception as error:
            # A visitor's file may break anything; the process goes on, the log keeps the place.
            logger.error("job %s failed:\n%s", work.__name__, traceback.format_exc())
            pipe.send(("failed", f"something unforeseen happened ({type(error).__name__})"))


def _end_with_server() -> None:
    """End this process when the server has gone, in the middle of a job too."""
    server = multiprocessing.parent_process()
    assert server is not None
    server.join()
    os._exit(1)


def one_thread() -> None:
    """Keep numerical libraries of the processes started from here to one thread each."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
