"""What stands before every request."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from web.guard import Guard
from web.settings import Settings


def client(token: str = "", base: str = "http://127.0.0.1:8050") -> TestClient:
    """A guarded application that answers every path with the id of its visitor."""

    def answer(request: Request) -> Response:
        return PlainTextResponse(request.scope["visitor"])

    methods = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", answer, methods=methods)])
    host = "0.0.0.0" if token else "127.0.0.1"
    return TestClient(
        Guard(app, Settings(host=host, token=token)), base_url=base, follow_redirects=False
    )


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_a_rebound_name_is_refused(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8050", "localhost", "[::1]:8050", "192.168.0.7:8050"])
def test_addresses_of_this_machine_are_let_in(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_without_our_header_is_refused(method: str) -> None:
    assert client().request(method, "/api/nights/x").status_code == 403
    assert client().request(method, "/api/nights/x", headers={"X-Nightstack": "1"}).is_success


def test_a_visitor_keeps_one_id_that_scripts_cannot_read() -> None:
    visitor = client()
    first = visitor.get("/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert visitor.get("/").text == first.text
    assert client().get("/").text != first.text


def test_an_id_of_another_form_is_replaced() -> None:
    answer = client().get("/", headers={"cookie": "nightstack-8050=../../x"})
    assert answer.text != "../../x"
    assert len(answer.text) == 32


def test_the_token_is_wanted_everywhere_but_at_the_door() -> None:
    visitor = client(token="open-sesame")
    assert visitor.get("/api/nights").status_code == 401
    assert visitor.get("/openapi.json").status_code == 401
    at_door = visitor.get("/")
    assert (at_door.status_code, at_door.headers["location"]) == (303, "/login")
    assert visitor.get("/login").is_success
    wrong = visitor.get("/api/nights", headers={"authorization": "Bearer open"})
    assert wrong.status_code == 401
    right = visitor.get("/api/nights", headers={"authorization": "Bearer open-sesame"})
    assert right.is_success
    assert visitor.get("/", headers={"cookie": "nightstack-token-8050=open-sesame"}).is_success


def test_other_machines_are_never_served_without_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.4", "sleep.example"):
        with pytest.raises(ValueError, match="a token is needed"):
            Settings(host=host)
    for host in ("127.0.0.1", "::1", "localhost", "127.3.2.1"):
        Settings(host=host)
    with pytest.raises(ValueError, match="letters, digits"):
        Settings(token="a; Path=/")


def test_bodies_that_are_no_upload_are_small_and_announced() -> None:
    headers = {"X-Nightstack": "1"}
    large = client().put("/api/nights/x/stages", content=bytes(70_000), headers=headers)
    assert large.status_code == 413
    endless = client().put("/api/nights/x/stages", content=iter([b"x"]), headers=headers)
    assert endless.status_code == 411


def test_the_page_may_load_nothing_from_elsewhere() -> None:
    headers = client().get("/").headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
