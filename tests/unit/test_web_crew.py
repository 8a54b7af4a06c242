"""Worker processes: results, refusals, deaths and stops."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import pytest

from tests.makers import web_jobs
from web.crew import Crew, Job

SOON_S = 60


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    crew = Crew(1, max_waiting=3)
    yield crew
    crew.close()


def ended(job: Job) -> Job:
    """Wait for a job."""
    assert job.finished.wait(SOON_S)
    return job


def begun(job: Job) -> Job:
    """Wait until a job is at work on its first step."""
    end = time.monotonic() + SOON_S
    while not job.step and time.monotonic() < end:
        time.sleep(0.02)
    return job


def test_a_job_gives_its_result_and_the_seconds_of_each_step(crew: Crew) -> None:
    job = ended(crew.submit(web_jobs.double, 21))
    assert (job.state, job.result, job.error) == ("done", 42, "")
    assert set(job.seconds) == {"queue", "think", "tell"}


def test_a_refusal_is_told_and_what_nobody_foresaw_keeps_its_secrets(crew: Crew) -> None:
    refused, stumbled = crew.submit(web_jobs.refuse), crew.submit(web_jobs.stumble)
    assert ended(refused).error == "no such channel"
    assert "KeyError" in ended(stumbled).error
    assert "secret" not in stumbled.error


def test_a_process_that_dies_fails_its_own_job_alone(crew: Crew) -> None:
    dead, after = crew.submit(web_jobs.die), crew.submit(web_jobs.double, 1)
    assert ended(dead).state == "failed"
    assert "ended" in dead.error
    assert ended(after).result == 2


def test_a_stopped_job_frees_its_process_and_a_full_queue_refuses(crew: Crew) -> None:
    asleep = begun(crew.submit(web_jobs.sleep))
    waiting = [crew.submit(web_jobs.double, n) for n in range(3)]
    with pytest.raises(queue.Full):
        crew.submit(web_jobs.double, 3)
    waiting[0].stop()
    asleep.stop()
    assert asleep.state == "stopped"
    assert [ended(job).result for job in waiting[1:]] == [2, 4]
    assert (waiting[0].state, waiting[0].result) == ("stopped", None)


def test_closing_ends_what_runs() -> None:
    crew = Crew(1)
    job = begun(crew.submit(web_jobs.sleep))
    crew.close()
    assert job.state == "stopped"
