"""What the admin API tells of the servers of a process."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ari_proxy.admin import api as admin_api
from ari_proxy.admin import servers
from ari_proxy.admin.api import AdminApi, Part
from ari_proxy.settings.process import AdminSettings
from ari_proxy.telemetry.metrics import Metrics
from tests.support.shown_server import ShownDialogs, ShownServer, check

READY = ShownServer({"bus": check()}, ShownDialogs([{"dialog_id": "a.1"}], lambda: 1))
REFUSED = ShownServer(
    {"bus": check(), "websocket": check("the password is refused")},
    ShownDialogs([{"dialog_id": "b.1"}, {"dialog_id": "b.2"}], lambda: 2),
)
FAILED = ShownServer({"services": check("no such file")}, None, "no such file")


async def test_checks_of_the_only_server_have_their_own_names() -> None:
    found = await servers.readiness({"b": REFUSED})

    assert found.checks == {"bus": "ok", "websocket": "the password is refused"}
    assert (found.is_ready, found.servers) == (False, {"b": False})


async def test_what_one_server_lacks_takes_no_other_out_of_service() -> None:
    found = await servers.readiness({"a": READY, "b": REFUSED, "c": FAILED})

    assert found.is_ready
    assert found.servers == {"a": True, "b": False, "c": False}
    assert found.checks == {
        "a.bus": "ok",
        "b.bus": "ok",
        "b.websocket": "the password is refused",
        "c.services": "no such file",
    }


async def test_without_any_that_can_serve_the_process_is_not_ready() -> None:
    assert not (await servers.readiness({"b": REFUSED, "c": FAILED})).is_ready


def test_process_is_active_while_any_of_its_ingests_is() -> None:
    standby = ShownServer({}, ShownDialogs(active=False))

    assert servers.activity({"a": READY, "b": standby}) == {"active": True}
    assert servers.activity({"b": standby}) == {"active": False}
    assert servers.activity({"c": FAILED}) == {}


def test_dialogs_of_all_servers_name_theirs() -> None:
    found = servers.dialogs({"a": READY, "b": REFUSED, "c": FAILED})

    assert [(each["server_id"], each["dialog_id"]) for each in found] == [
        ("a", "a.1"),
        ("b", "b.1"),
        ("b", "b.2"),
    ]


def test_open_dialogs_are_counted_unless_a_server_does_not_know_its_own() -> None:
    unknown = ShownServer({}, ShownDialogs(count_open=lambda: None))

    assert servers.count_open({"a": READY, "b": REFUSED}) == (3, [])
    assert servers.count_open({"a": READY, "b": unknown, "c": FAILED})[1] == ["b", "c"]


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/livez", 200, {"status": "alive", "servers": {"a": "running", "c": "no such file"}}),
        (
            "/readyz",
            200,
            {
                "ready": True,
                "checks": {"a.bus": "ok", "c.services": "no such file"},
                "servers": {"a": True, "c": False},
                "active": True,
            },
        ),
        (
            "/readyz?server=c",
            503,
            {
                "ready": False,
                "checks": {"services": "no such file"},
                "servers": {"c": False},
            },
        ),
        ("/readyz?server=x", 404, {"detail": "no server 'x' is served here"}),
        ("/dialogs?server=a", 200, [{"server_id": "a", "dialog_id": "a.1"}]),
        ("/dialogs?server=x", 404, {"detail": "no server 'x' is served here"}),
        ("/dialogs/count?server=a", 200, {"open": 1}),
        ("/dialogs/count?server=x", 404, {"detail": "no server 'x' is served here"}),
        (
            "/dialogs/count",
            503,
            {
                "detail": "the dialogs are not known until they have been reconciled with Asterisk",
                "servers": ["c"],
            },
        ),
    ],
)
async def test_answers_tell_of_all_servers_or_of_the_one_that_is_named(
    path: str, status: int, body: Any
) -> None:
    api = AdminApi({}, Metrics(), {"a": READY, "c": FAILED}, has_dialogs=True)

    answer = await answered(api, path)

    assert answer == (status, body)


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("all", {"/livez", "/readyz", "/metrics", "/dialogs/count", "/dialogs", "/more"}),
        ("process", {"/livez", "/readyz", "/metrics", "/dialogs/count"}),
        ("calls", {"/dialogs", "/more"}),
    ],
)
def test_what_shows_calls_may_be_served_apart(part: Part, shown: set[str]) -> None:
    api = AdminApi({}, Metrics(), {"a": READY}, has_dialogs=True, extension=More(), part=part)

    routes = admin_api.application(api).routes

    assert {route.path for route in routes if isinstance(route, Route)} == shown


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (AdminSettings(), False),
        (AdminSettings(calls_port=9797), False),
        (AdminSettings(calls_port=9798), True),
        (AdminSettings(port=0, calls_port=0), True),
    ],
    ids=["none", "the same", "another", "any"],
)
def test_calls_have_a_port_of_their_own_if_it_is_another_one(
    given: AdminSettings, *, expected: bool
) -> None:
    assert given.has_calls_port is expected


class More:
    """An extension with a page."""

    def application(self, routes: Sequence[BaseRoute]) -> Starlette:
        return Starlette(routes=[*routes, Route("/more", lambda _: Response())])

    def close(self) -> None: ...


async def test_a_process_without_servers_is_ready_by_its_own_checks() -> None:
    for said in ("", "no cluster"):
        status, body = await answered(AdminApi({"cluster": check(said)}, Metrics()), "/readyz")

        assert (status, body["checks"]) == (503 if said else 200, {"cluster": said or "ok"})


async def answered(api: AdminApi, path: str) -> tuple[int, Any]:
    """Return the status and the decoded body of an answer."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    name, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": name,
        "query_string": query.encode(),
        "headers": [],
    }
    await admin_api.application(api)(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])
