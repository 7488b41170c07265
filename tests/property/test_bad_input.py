"""Whatever comes in on any entry: a clear error or a counted drop, and the next one works."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from starlette.routing import Route

from ari_proxy.admin import api as admin_api
from ari_proxy.admin.api import AdminApi
from ari_proxy.ari import operations, snapshot, urls
from ari_proxy.ari.errors import IllegalUrlError
from ari_proxy.ari.operation_table import TEMPLATES
from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Message
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.bus.rabbitmq.topology import decode_record
from ari_proxy.command.authorization.object_refs import new_recording, object_refs
from ari_proxy.command.naming import name_object
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.ingest.handover.giver import Collected, HandoverGiver
from ari_proxy.ingest.lease.record import parse
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.load import load, read_file
from ari_proxy.telemetry.metrics import Metrics
from tests.support.event_path import NOBODY, EventPath
from tests.support.golden import recorded
from tests.support.malformed import DEEPLY_NESTED
from tests.support.shown_server import ShownDialogs, ShownServer, check

DIALOG: Final = DialogId("asterisk.0123456789abcdef")
START: Final = b'{"type":"StasisStart","application":"demo","args":[],"channel":{"id":"good"}}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def mutated(originals: list[bytes]) -> st.SearchStrategy[bytes]:
    """Real messages with a part cut out, put in twice, or overwritten."""

    def mutate(original: bytes, at: int, length: int, piece: bytes) -> bytes:
        at %= len(original) + 1
        return original[:at] + piece + original[at + length :]

    return st.builds(
        mutate,
        st.sampled_from(originals),
        st.integers(0, 5000),
        st.integers(0, 60),
        st.one_of(st.binary(max_size=8), st.sampled_from([b'"', b"{", b"[", b"null", b"\\u0000"])),
    )


#: No message of ours, nor any other JSON that a decoder takes.
payloads = st.one_of(
    st.binary(), json_values.map(json.dumps).map(str.encode), st.just(DEEPLY_NESTED)
)

FRAMES: Final = [
    line["frame"].encode()
    for scenario in ("a_call_play_dtmf", "h_create_dial")
    for line in recorded("22", scenario)
    if line["dir"] == "event"
]


class _DoneError(Exception):
    pass


def with_ingest(work: Callable[[EventPath], None]) -> None:
    """Do something to the event path, and see that a call is served all the same."""

    async def run() -> None:
        rest = RestClient("http://127.0.0.1:9/ari", NOBODY, concurrency=1, timeout_seconds=1)
        async with rest, asyncio.TaskGroup() as tasks:
            ingest = EventPath(tasks, rest)
            work(ingest)
            ingest.pipeline.on_frame(START)
            assert "good" in ingest.dialogs.objects.channels
            raise _DoneError

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(run())
    assert raised.group_contains(_DoneError)
    assert not [e for e in raised.value.exceptions if not isinstance(e, _DoneError)]


# Asterisk


@settings(max_examples=60)
@given(st.lists(st.one_of(mutated(FRAMES), payloads), min_size=1, max_size=30))
def test_frames_that_are_no_events_are_counted_and_nothing_else(frames: list[bytes]) -> None:
    def take_all(ingest: EventPath) -> None:
        for frame in frames:
            ingest.pipeline.on_frame(frame)
        text = ingest.metrics.text().decode()
        counted = sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("ariproxy_ingest_malformed_frames_total")
        )
        assert counted + sum(ingest.counters.received.values()) == len(frames)

    with_ingest(take_all)


def test_frame_of_a_mebibyte_passes() -> None:
    def take(ingest: EventPath) -> None:
        value = "x" * 2**20
        frame = json.dumps({"type": "ChannelVarset", "channel": {"id": "c"}, "value": value})
        ingest.pipeline.on_frame(frame.encode())

    with_ingest(take)


@given(
    st.one_of(
        st.text(),
        st.just(DEEPLY_NESTED.decode()),
        json_values.map(json.dumps),
        st.lists(json_values).map(json.dumps),
        st.lists(st.fixed_dictionaries({"id": json_values, "dialplan": json_values})).map(
            json.dumps
        ),
    )
)
def test_answers_of_asterisk_are_what_they_should_be_or_refused(text: str) -> None:
    for read in (snapshot.channels, snapshot.bridges, snapshot.information, snapshot.variable):
        try:
            read(text)
        except UNDECODABLE:
            continue


# The bus


@settings(max_examples=60)
@given(st.lists(payloads, max_size=10))
def test_notices_that_are_none_are_refused(notices: list[bytes]) -> None:
    def take_all(ingest: EventPath) -> None:
        for payload in notices:
            for handler in (ingest.registrations.on_binding, ingest.registrations.on_question):
                handler(Message("t", payload, "reply"))

    with_ingest(take_all)


@settings(max_examples=40)
@given(payloads)
def test_request_for_the_dialogs_that_is_none_hands_nothing_over(payload: bytes) -> None:
    async def collect() -> Collected:
        raise AssertionError

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            replaced = ReplacedApplications(())
            giver = HandoverGiver(MemoryBus(MemoryBroker()), collect, tasks, replaced)
            giver.on_request(Message("t", payload, "reply"))
            assert not giver.is_done

    asyncio.run(run())


def _with_any_channel(template: str) -> st.SearchStrategy[str]:
    return st.text(max_size=12).map(lambda text: template.replace("{channelId}", text))


urls_of_all_kinds = st.one_of(
    st.text(),
    st.sampled_from(sorted(TEMPLATES)).flatmap(_with_any_channel),
    st.sampled_from(
        [
            "http://elsewhere/ari",
            "//elsewhere/x",
            "/../../etc/passwd",
            "/channels/%2e%2e/%2E%2E/x",
            "/channels/a\r\nX-Injected: yes",
            "/channels/a HTTP/1.1\r\n\r\nGET /evil",
            "/channels/\x00",
            "/channels?api_key=a:b",
            "\\\\elsewhere\\x",
            "/channels#fragment",
            "/channels/ä",
        ]
    ),
)


@given(urls_of_all_kinds, st.text(), st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
def test_url_is_one_of_ari_or_refused(url: str, body: str, method: str) -> None:
    try:
        parsed = urls.parse(url)
    except IllegalUrlError:
        return
    line = parsed.text
    assert line.startswith("/")
    assert not line.startswith("//")
    assert not set(line) & set(" \r\n\t\x00#\\<>")
    template = operations.template_of(parsed.path)
    named = name_object(method, template, parsed, body, DIALOG, random=ids.random_id)
    assert named.url.path == parsed.path
    object_refs(method, template, parsed, body)
    new_recording(method, template, parsed, body)


@given(payloads)
def test_record_of_the_registry_is_one_or_refused(payload: bytes) -> None:
    try:
        decode_record(payload)
    except UNDECODABLE:
        return


# The settings


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.one_of(
            st.sampled_from(["server_id", "applications", "ari", "bus", "ingest", "lease"]),
            st.sampled_from(["bus_config", "message_bus", "stasis_url", "websocket_url"]),
            st.text(max_size=6),
        ),
        st.one_of(
            json_values,
            st.dictionaries(
                st.sampled_from(["url", "urls", "kind", "queue", "deny", "password", "port"]),
                json_values,
            ),
        ),
        max_size=5,
    )
)
def test_configuration_works_or_every_bad_value_is_named(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]
) -> None:
    file = tmp_path_factory.getbasetemp() / "config.json"
    try:
        file.write_text(json.dumps(content))
    except UnicodeEncodeError:
        return
    error = _error_of(lambda: load(file))
    assert error is None or all(problem.strip() for problem in error.problems)


def _error_of(work: Callable[[], object]) -> SettingsError | None:
    try:
        work()
    except SettingsError as error:
        return error
    return None


@given(st.binary())
def test_file_that_is_no_json_is_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "config.json"
    file.write_bytes(content)
    error = _error_of(lambda: read_file(file))
    assert error is None or str(file) in str(error)


# Kubernetes


@given(
    st.dictionaries(st.sampled_from(["holderIdentity", "renewTime", "x"]), st.text() | st.none())
)
def test_any_lease_has_a_holder_or_none(spec: dict[str, Any]) -> None:
    record = parse({"metadata": {"resourceVersion": "1"}, "spec": spec})

    assert record.holder == (spec.get("holderIdentity") or "")


# The admin API


_SERVER = ShownServer(
    {"x": check("not well")}, ShownDialogs([{"dialog_id": "s.x", "channels": ["c"]}], lambda: 1)
)
_api = admin_api.application(AdminApi({}, Metrics(), {"s": _SERVER}, has_dialogs=True))
_schema = schemathesis.openapi.from_dict(
    {
        "openapi": "3.1.0",
        "info": {"title": "the admin API", "version": "1"},
        "paths": {
            route.path: {"get": {"responses": {"default": {"description": ""}}}}
            for route in _api.routes
            if isinstance(route, Route)
        },
    }
)
_schema.app = _api


@_schema.parametrize()
@settings(max_examples=20)
def test_admin_api_answers_whatever_it_is_asked(case: "schemathesis.Case[Any]") -> None:
    response = case.call()

    case.validate_response(response, excluded_checks=[not_a_server_error])
    assert response.status_code < 500 or case.path == "/readyz"
