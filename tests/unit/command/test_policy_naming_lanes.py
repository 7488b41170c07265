import asyncio
import contextlib

import pytest

from ari_proxy.ari import operations, urls
from ari_proxy.command.authorization.policy import Policy
from ari_proxy.command.errors import RejectedError
from ari_proxy.command.lanes import (
    Lanes,
    LanesFullError,
    Turn,
    creates_channel,
    is_hang_up,
)
from ari_proxy.command.naming import Named, NewObject, name_object
from ari_proxy.command.parameters import parameter
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import Token
from ari_proxy.protocol.messages import Command

TOKEN = Token("arip-0123456789abcdef")


@pytest.mark.parametrize(
    ("rule", "method", "path", "permitted"),
    [
        ("* /**", "DELETE", "/anything/at/all", True),
        ("POST /channels/{channelId}/play", "POST", "/channels/1.2/play", True),
        ("POST /channels/{channelId}/play", "GET", "/channels/1.2/play", False),
        ("POST /channels/{channelId}/play", "POST", "/channels/1.2/play/x", False),
        ("GET /asterisk/**", "GET", "/asterisk/modules/x", True),
        ("GET /asterisk/**", "GET", "/asterisk", True),
        ("GET /asterisk/**", "GET", "/asteriskx", False),
        ("* /channels/*", "DELETE", "/channels/a", True),
    ],
)
def test_rules(rule: str, method: str, path: str, *, permitted: bool) -> None:
    assert Policy((rule,), ()).permits(method, path) is permitted


@pytest.mark.parametrize(
    "path",
    [
        "/channels/1.2",
        "/chann%65ls/1.2",
        "/channels%00x/1.2",
        "/channels/a%2Fb",
        "/channels/1.2//x",
    ],
)
def test_path_is_matched_as_asterisk_reads_it(path: str) -> None:
    assert not Policy(("* /**",), ("DELETE /channels/{channelId}",)).permits("DELETE", path)


def test_denial_wins() -> None:
    policy = Policy(("* /**",), ("* /asterisk/modules/**",))

    assert not policy.permits("PUT", "/asterisk/modules/res_ari.so")
    assert policy.permits("GET", "/asterisk/info")


def named(method: str, url: str, body: str = "") -> Named:
    parsed = urls.parse(url)
    template = operations.template_of(parsed.path)
    return name_object(method, template, parsed, body, TOKEN, random=ids.random_id)


@pytest.mark.parametrize(
    ("url", "kind", "parameter"),
    [
        ("/channels?endpoint=x", "channel", "channelId"),
        ("/channels/create", "channel", "channelId"),
        ("/channels/externalMedia", "channel", "channelId"),
        ("/channels/c/snoop", "channel", "snoopId"),
        ("/channels/c/play?media=x", "playback", "playbackId"),
        ("/bridges/b/play", "playback", "playbackId"),
        ("/bridges", "bridge", "bridgeId"),
    ],
)
def test_new_object_gets_an_id_of_its_dialog(url: str, kind: str, parameter: str) -> None:
    result = named("POST", url, "{}")

    assert result.creates is not None
    assert (result.creates.kind, result.creates.needs_registration) == (kind, False)
    assert ids.token_of_object(result.creates.object_id) == TOKEN
    assert result.url.parameter(parameter) == result.creates.object_id


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/channels?channelId=mine", ""),
        ("/channels", '{"channelId":"mine"}'),
        ("/channels?channelId=other", '{"channelId":"mine"}'),
        ("/channels/mine", ""),
    ],
)
def test_id_of_the_client_stays_and_is_registered(url: str, body: str) -> None:
    result = named("POST", url, body)

    assert result.creates == NewObject("channel", "mine", needs_registration=True)
    assert result.url.text == url


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/channels"),
        ("POST", "/channels/c/answer"),
        ("POST", "/channels/%00"),  # For Asterisk an id that is empty.
    ],
)
def test_other_commands_stay_as_they_are(method: str, url: str) -> None:
    assert named(method, url) == Named(urls.parse(url), "")


NOTHING = ["null", '""', "5", "[]", '{"a":1}', "true"]


@pytest.mark.parametrize("value", NOTHING)
@pytest.mark.parametrize("key", ["channelId", r"\u0063hannelId"])
@pytest.mark.parametrize("url", ["/channels", "/channels?channelId=theirs"])
def test_field_that_names_nothing_gives_way_to_the_name_of_ari_proxy(
    url: str, key: str, value: str
) -> None:
    """Asterisk reads the body over the query, and would make an id of its own."""
    result = named("POST", url, f'{{"app":"demo","{key}":{value},"timeout":1.50}}')

    assert result.creates is not None
    assert ids.token_of_object(result.creates.object_id) == TOKEN
    assert result.url.parameter("channelId") == result.creates.object_id
    assert result.body == '{"app":"demo","timeout":1.50}'


def test_field_counts_however_its_name_is_written() -> None:
    result = named("POST", "/channels?channelId=other", r'{"\u0063hannelId":"mine"}')

    assert result.creates == NewObject("channel", "mine", needs_registration=True)


@pytest.mark.parametrize("value", NOTHING)
def test_field_does_not_matter_where_the_path_has_the_id(value: str) -> None:
    body = f'{{"channelId":{value}}}'
    result = named("POST", "/channels/mine", body)

    assert result == Named(
        urls.parse("/channels/mine"), body, NewObject("channel", "mine", needs_registration=True)
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "query"),
        ('{"app" broken', "query"),
        ('["app"]', "query"),
        ('{"b":1}', "query"),
        ('{"app":"body"}', "body"),
        (r'{"\u0061pp":"body"}', "body"),
        ('{"app":"first","app":"body"}', "body"),
        ('{"app":null}', ""),
        ('{"app":1}', ""),
        ('{"app":{}}', ""),
    ],
)
def test_parameter_of_the_body_stands_above_that_of_the_query(body: str, expected: str) -> None:
    assert parameter("app", urls.parse("/channels?app=query"), body) == expected


def test_body_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(RejectedError, match="nested too deeply"):
        named("POST", "/channels", '{"channelId":' + "[" * 10_000 + "]" * 10_000 + "}")


async def test_lane_keeps_order_while_lanes_run_side_by_side() -> None:
    done: list[tuple[str, int]] = []
    gate = asyncio.Event()

    async def work(key: str, item: int, _turn: Turn) -> None:
        if key == "slow":
            await gate.wait()
        done.append((key, item))

    async with asyncio.TaskGroup() as tasks:
        lanes: Lanes[int] = Lanes(tasks, work, capacity=10)
        for item in range(3):
            lanes.put("slow", item)
            lanes.put("fast", item)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == [("fast", 0), ("fast", 1), ("fast", 2)]
        gate.set()
        await lanes.wait_idle()

    assert done[3:] == [("slow", 0), ("slow", 1), ("slow", 2)]
    assert (lanes.pending, len(lanes._lanes)) == (0, 0)


async def test_full_lanes_refuse() -> None:
    async with asyncio.TaskGroup() as tasks:
        lanes: Lanes[int] = Lanes(tasks, lambda *_: asyncio.sleep(0), capacity=1)
        lanes.put("a", 1)
        with pytest.raises(LanesFullError):
            lanes.put("b", 1)


async def test_cancelled_lanes_leave_nothing_behind() -> None:
    begun: list[int] = []

    async def work(_key: str, item: int, _turn: Turn) -> None:
        begun.append(item)
        await asyncio.Event().wait()

    lanes: Lanes[int]
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, work, capacity=10)
        for item in range(3):
            lanes.put(f"{item}", item)
        while len(begun) < 3:
            await asyncio.sleep(0)
        lanes.cancel_work()
        async with asyncio.timeout(5):
            await lanes.wait_idle()

    assert (lanes.pending, len(lanes._lanes)) == (0, 0)


async def test_work_that_takes_its_cancellation_goes_on_with_its_lane() -> None:
    done: list[int] = []

    async def work(_key: str, item: int, _turn: Turn) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            if not item:
                await asyncio.Event().wait()
        done.append(item)

    async with asyncio.TaskGroup() as tasks:
        lanes: Lanes[int] = Lanes(tasks, work, capacity=10)
        for item in range(3):
            lanes.put("lane", item)
        await asyncio.sleep(0)
        lanes.cancel_work()
        async with asyncio.timeout(5):
            await lanes.wait_idle()

    assert done == [0, 1, 2]


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("DELETE", "/channels/c", True),
        ("delete", "/chann%65ls/c?reason=busy", True),
        ("DELETE", "/channels/c/moh", False),
        ("DELETE", "/bridges/b", False),
        ("GET", "/channels/c", False),
        ("DELETE", "http://elsewhere/channels/c", False),
    ],
)
def test_hang_up_is_known(method: str, url: str, *, expected: bool) -> None:
    assert is_hang_up(Command("", url, method, "")) is expected


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("POST", "/channels?endpoint=PJSIP/a&app=demo", True),
        ("post", "/chann%65ls/mine", True),
        ("POST", "channels/create", True),
        ("POST", "/channels/externalMedia", True),
        ("POST", "/channels/c/snoop", True),
        ("POST", "/channels/c/snoop/mine", True),
        ("POST", "/channels/c/unheard-of", True),
        ("POST", "/channels/c/dial", False),
        ("POST", "/channels/c/play", False),
        ("POST", "/bridges", False),
        ("GET", "/channels", False),
        ("POST", "http://elsewhere/channels", False),
    ],
)
def test_command_that_may_create_a_channel_is_known(
    method: str, url: str, *, expected: bool
) -> None:
    assert creates_channel(Command("", url, method, "")) is expected


class Stage:
    """Work of which the slow item waits, and of which `in_order` end at their turn.

    What is held holds back what is urgent.
    """

    def __init__(self, tasks: asyncio.TaskGroup, *, in_order: frozenset[str] = frozenset()) -> None:
        self._in_order = in_order
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.gates = {"slow": self.gate}
        self.lanes: Lanes[str] = Lanes(
            tasks,
            self._work,
            capacity=10,
            patience_seconds=0,
            holds_back=lambda item: item == "held",
        )

    async def _work(self, _key: str, item: str, turn: Turn) -> None:
        self.begun.append(item)
        if item in self.gates:
            with contextlib.suppress(asyncio.CancelledError):
                await self.gates[item].wait()
        if item in self._in_order:
            await turn.wait()
        self.ended.append(item)

    async def until_overtaken_elsewhere(self) -> None:
        """Wait until what is urgent in another lane, and came later, has overtaken."""
        self.lanes.put("other", "slow")
        self.lanes.put("other", "elsewhere", urgent=True)
        await self.until_begun("elsewhere")

    async def until_begun(self, item: str) -> None:
        async with asyncio.timeout(5):
            while item not in self.begun:
                await asyncio.sleep(0)


async def test_what_is_urgent_overtakes_what_waits_in_its_lane() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        for item in ("slow", "next", "urgent", "last"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.until_begun("urgent")
        assert stage.ended == ["urgent"]
        assert stage.lanes.pending == 4
        stage.gate.set()
        await stage.lanes.wait_idle()

    assert stage.begun == ["slow", "urgent", "next", "last"]
    assert stage.ended == ["urgent", "slow", "next", "last"]
    assert (stage.lanes.pending, len(stage.lanes._lanes), len(stage.lanes._busy)) == (0, 0, 0)


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["done", "cancelled"])
async def test_what_overtook_ends_in_order_if_it_asks_for_it(*, is_cancelled: bool) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks, in_order=frozenset({"urgent", "too"}))
        for item in ("slow", "next", "urgent", "too", "last"):
            stage.lanes.put("lane", item, urgent=item in {"urgent", "too"})
        await stage.until_begun("too")
        assert stage.ended == []
        if is_cancelled:
            stage.lanes.cancel_work()
        else:
            stage.gate.set()
        async with asyncio.timeout(5):
            await stage.lanes.wait_idle()

    assert stage.begun == ["slow", "urgent", "too", "next", "last"]
    assert stage.ended == ["slow", "next", "urgent", "too", "last"]


async def test_what_is_urgent_waits_for_its_turn_first() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        stage.gate.set()
        for item in ("quick", "next", "urgent"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.lanes.wait_idle()

    assert stage.ended == ["quick", "next", "urgent"]


async def test_what_waits_holds_back_what_is_urgent() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        for item in ("slow", "held", "held", "urgent", "last"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.until_overtaken_elsewhere()
        assert "urgent" not in stage.begun
        stage.gate.set()
        await stage.lanes.wait_idle()

    assert [item for item in stage.begun if item != "elsewhere"] == [
        *("slow", "slow", "held", "held", "urgent", "last")
    ]
    assert (stage.lanes.pending, len(stage.lanes._lanes), len(stage.lanes._busy)) == (0, 0, 0)


async def test_what_was_held_back_overtakes_as_soon_as_that_is_done() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        stage.gates["held"] = asyncio.Event()
        for item in ("held", "slow", "next", "urgent"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.until_overtaken_elsewhere()
        assert "urgent" not in stage.begun
        stage.gates["held"].set()
        await stage.until_begun("urgent")
        assert "next" not in stage.begun
        stage.gate.set()
        await stage.lanes.wait_idle()

    assert stage.ended[-2:] == ["slow", "next"]
