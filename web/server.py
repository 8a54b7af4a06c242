"""The application and the server that runs it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from web.guard import Guard
from web.page import Page
from web.refusal import Refusal
from web.routes import STATIC, api, files
from web.settings import Settings

logger = logging.getLogger("nightstack")

DESCRIPTION = """Upload a recording, correct its channels, stage it, review it, take it away.

Keep the cookie of the first answer: your nights hang on it. Requests that change something carry
the header X-Nightstack: 1. A server with a token wants Authorization: Bearer TOKEN.
"""
# More are all answered 503 by the server itself; 64 visitors with a browser's six each are fewer.
MOST_CONNECTIONS = 512
_SWEEP_S = 30.0


def create_app(settings: Settings) -> FastAPI:
    """Return the application; it makes its temporary folder and processes when it starts."""
    page = Page(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(page))
        try:
            yield
        finally:
            sweeping.cancel()
            page.close()

    app = FastAPI(
        title="Nightstack",
        description=DESCRIPTION,
        version="0.1.0",
        docs_url=None,  # FastAPI's own pages load their scripts from other hosts
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.page = page
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(ValueError, _unusable)
    app.add_exception_handler(ImportError, _unusable)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(ClientDisconnect, _gone)
    guard = Guard(app, settings)  # for its rules; the one at work is added below
    app.include_router(api(page, guard))
    app.include_router(files())
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, settings=settings)
    return app


def serve(settings: Settings, announce: Callable[[], object], *, ready: bool = False) -> None:
    """Serve until stopped by hand; with `ready`, stop as soon as the first request could come.

    `announce` is called once the port is ours: a request that comes then waits for its answer.

    Raises
    ------
    ValueError
        If the stager chosen in the settings is not on this machine, or the port cannot be had.
    """
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # names of recordings stay out of logs
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=3,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    if ready:
        config.callback_notify = _stopping(server)
        config.timeout_notify = 0
    try:
        app.state.page.refuse_unknown()
        door = _door(settings)
        announce()
    except BaseException:  # no start, or Ctrl+C while waiting: nothing may stay behind
        app.state.page.close()
        raise
    server.run([door])


def _door(settings: Settings) -> socket.socket:
    """Listen at the address of the settings, or say why that cannot be."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise ValueError(
            f"{settings.host}, port {settings.port}: {error.strerror}; choose another with --port"
        ) from None


def _stopping(server: uvicorn.Server) -> Callable[[], Awaitable[None]]:
    """Return what stops a server at its first chance."""

    async def stop() -> None:
        server.should_exit = True

    return stop


async def _sweep(page: Page) -> None:
    """Forget idle visitors, again and again."""
    while True:
        await asyncio.sleep(_SWEEP_S)
        await asyncio.to_thread(page.visitors.forget_idle)


def _refused(_: Request, error: Exception) -> JSONResponse:
    """Answer with the status and the sentence of a refusal."""
    assert isinstance(error, Refusal)
    return JSONResponse({"error": str(error)}, error.status)


def _unusable(_: Request, error: Exception) -> JSONResponse:
    """Answer what was wrong with what was asked."""
    return JSONResponse({"error": str(error)}, 422)


def _misread(_: Request, error: Exception) -> JSONResponse:
    """Answer which field was misread, without repeating what was sent."""
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return JSONResponse({"error": told}, 422)


def _gone(_: Request, error: Exception) -> JSONResponse:
    """Nobody reads this answer: the other side hung up."""
    return JSONResponse({"error": "the connection was cut"}, 400)
