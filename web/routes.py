"""Addresses: the JSON interface, which the page itself uses, and the files of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from web.guard import Guard, cookie
from web.page import MOST_COLUMNS, Page
from web.refusal import Refusal
from web.review import Change, Review
from web.visitors import Night

STATIC = Path(__file__).with_name("static")
# A report has its style inside; it may run nothing and load nothing.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
Columns = Annotated[int, Query(ge=1, le=MOST_COLUMNS, description="pixels of the whole stretch")]


class Channels(BaseModel):
    """Channels named by hand: target to label, `#7`, a difference `#7-#9`, or empty for none."""

    channels: dict[str, str] = Field(default={}, examples=[{"C4": "#2-#5", "E1": ""}])


class Staging(Channels):
    """How a night is staged."""

    stager: str = "yasa"
    decoder: str = "greedy"
    vote: bool = Field(default=False, description="every EEG derivation votes")


class Naming(BaseModel):
    """Whether the file's name, which may name a person, stands in what is taken away."""

    show_file_name: bool


class Scored(BaseModel):
    """A stage given by hand to an epoch (counted from 0)."""

    epoch: int
    stage: str


class Token(BaseModel):
    """The token the person who started the server has given out."""

    token: str


def api(page: Page, guard: Guard) -> APIRouter:
    """Return the JSON interface."""
    router = APIRouter(prefix="/api")
    _server(router, page, guard)
    _nights(router, page)
    _signals(router, page)
    _staging(router, page)
    _scoring(router, page)
    _take_away(router, page)
    return router


def _mine(page: Page) -> Callable[[Request, str], Night]:
    """Return what finds a night of the visitor who asks."""
    return lambda request, night_id: page.night(request.scope["visitor"], night_id)


def _server(router: APIRouter, page: Page, guard: Guard) -> None:
    """Add what concerns no night."""

    @router.get("/about", tags=["server"], summary="Stagers, decoders, limits")
    async def about() -> Any:
        return await page.about()

    @router.post("/token", tags=["server"], summary="Give the token; it is kept in a cookie")
    async def token(given: Token) -> Any:
        if not guard.right_token(given.token):
            await asyncio.sleep(0.5)  # guessing is slow
            raise Refusal(401, "This is not the token.")
        headers = {"set-cookie": cookie(guard.token_cookie, given.token)}
        return JSONResponse({"ok": True}, headers=headers)


def _nights(router: APIRouter, page: Page) -> None:
    """Add nights: list, upload, look, remove."""
    mine = _mine(page)

    @router.get("/nights", tags=["nights"], summary="Your nights")
    def nights(request: Request) -> Any:
        return page.nights(request.scope["visitor"])

    @router.post(
        "/nights",
        tags=["nights"],
        status_code=201,
        summary="Upload a recording (EDF, BDF, FIF): the body is the file itself",
        openapi_extra={"requestBody": {"content": {"application/octet-stream": {}}}},
    )
    async def upload(request: Request, name: str = "recording") -> Any:
        announced = request.headers.get("content-length", "")
        size = int(announced) if announced.isdecimal() else None
        return await page.upload(request.scope["visitor"], name, size, request.stream())

    @router.get("/nights/{night_id}", tags=["nights"], summary="A night and its progress")
    def night(request: Request, night_id: str) -> Any:
        return page.describe(mine(request, night_id))

    @router.delete("/nights/{night_id}", tags=["nights"], summary="Remove a night", status_code=204)
    def remove(request: Request, night_id: str) -> None:
        page.remove(mine(request, night_id), request.scope["visitor"])


def _signals(router: APIRouter, page: Page) -> None:
    """Add channels and what is drawn of them."""
    mine = _mine(page)

    @router.put("/nights/{night_id}/channels", tags=["nights"], summary="Name channels by hand")
    async def channels(request: Request, night_id: str, given: Channels) -> Any:
        return await page.choose(mine(request, night_id), given.channels)

    @router.get(
        "/nights/{night_id}/signals",
        tags=["nights"],
        summary="A stretch of some signals, binary",
        description=Page.view.__doc__ or "",
    )
    def signals(
        request: Request,
        night_id: str,
        keys: Annotated[str, Query(description="signals, such as 0,3,7-9")],
        from_s: float,
        to_s: float,
        columns: Columns = 1000,
    ) -> Response:
        body = page.view(mine(request, night_id), keys.split(","), from_s, to_s, columns)
        return Response(body, media_type="application/octet-stream")


def _staging(router: APIRouter, page: Page) -> None:
    """Add staging and its result."""
    mine = _mine(page)

    @router.post("/nights/{night_id}/staging", tags=["results"], summary="Stage", status_code=202)
    async def stage(request: Request, night_id: str, order: Staging) -> Any:
        return await page.stage(mine(request, night_id), **order.model_dump())

    @router.get("/nights/{night_id}/result", tags=["results"], summary="Everything of the result")
    def result(request: Request, night_id: str) -> Any:
        return page.result(mine(request, night_id))


def _scoring(router: APIRouter, page: Page) -> None:
    """Add changes by hand."""
    mine = _mine(page)

    @router.put("/nights/{night_id}/stages", tags=["results"], summary="Score epochs by hand")
    def score(request: Request, night_id: str, given: list[Scored]) -> Any:
        def make(review: Review) -> list[Change]:
            return [review.score(one.epoch, one.stage) for one in given]

        return page.change(mine(request, night_id), make)

    @router.post("/nights/{night_id}/undo", tags=["results"], summary="Take the last change back")
    def undo(request: Request, night_id: str) -> Any:
        return page.change(mine(request, night_id), lambda r: [c for c in [r.undo()] if c])

    @router.post("/nights/{night_id}/redo", tags=["results"], summary="Do it again")
    def redo(request: Request, night_id: str) -> Any:
        return page.change(mine(request, night_id), lambda r: [c for c in [r.redo()] if c])


def _take_away(router: APIRouter, page: Page) -> None:
    """Add files, and what they are called."""
    mine = _mine(page)

    @router.put(
        "/nights/{night_id}/naming",
        tags=["results"],
        summary="Show the file's name in the report and in the names of files, or not",
    )
    def naming(request: Request, night_id: str, given: Naming) -> Any:
        night = mine(request, night_id)
        night.show_file_name = given.show_file_name
        return page.describe(night)

    @router.get(
        "/nights/{night_id}/hypnogram.{kind}",
        tags=["results"],
        summary="The hypnogram as it stands: csv, edf, txt, xlsx, json",
    )
    def hypnogram(request: Request, night_id: str, kind: str) -> Response:
        night = mine(request, night_id)
        content, media_type = page.export(night, kind)
        return Response(
            content, media_type=media_type, headers=_saved_as(f"{night.stem}-hypnogram.{kind}")
        )

    @router.get("/nights/{night_id}/report.html", tags=["results"], summary="The report")
    async def report(request: Request, night_id: str, save: bool = False) -> Response:
        night = mine(request, night_id)
        headers = {"content-security-policy": REPORT_POLICY}
        if save:
            headers |= _saved_as(f"{night.stem}-report.html")
        return Response(await page.report(night), media_type="text/html", headers=headers)


def files() -> APIRouter:
    """Return the pages: the page itself, the door, and the description of the interface."""
    router = APIRouter(include_in_schema=False)
    for address, file in (("/", "index"), ("/login", "login"), ("/docs", "docs")):
        path = STATIC / f"{file}.html"
        router.add_api_route(address, lambda path=path: FileResponse(path), methods=["GET"])
    return router


def _saved_as(name: str) -> dict[str, str]:
    """Return the header that makes a browser save an answer under a name."""
    return {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
