"""A real browser without a window, or the reason why there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.makers.page_server import Server, running

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium as the system has it."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no driver of a browser: pip install -r requirements-dev.txt"
    )
    pytest.importorskip("fastapi", reason="no page: pip install -r requirements-web.txt")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page, for all tests with a browser."""
    folder: Path = tmp_path_factory.mktemp("page")
    with running(folder) as server:
        yield server
    assert not list(folder.glob("nightstack-*")), "uploads are left behind"
