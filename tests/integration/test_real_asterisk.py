"""The scenarios of the recordings, through NATS and a real Asterisk 22 and 16.

Beside the proxy a second websocket with another application watches the same Asterisk with
subscribeAll, so that what the proxy delivered can be compared with what Asterisk sent about the
same channels.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from ari_proxy.ari.message_connection import MessageConnection
from ari_proxy.ari.outbound_events import OutboundEvents
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.ari.websocket import DialledConnection
from ari_proxy.bus.base import Bus
from ari_proxy.client.application import call
from ari_proxy.connections import factories
from ari_proxy.ingest.events.own_events import CANARY_NAME
from ari_proxy.protocol.ids import (
    DialogId,
    ServerId,
    new_dialog_id,
    token_of_dialog,
    token_of_object,
)
from ari_proxy.protocol.messages import Command
from ari_proxy.settings.load import Settings
from tests.support import ways
from tests.support.calls import asterisk_client
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    until,
    until_running,
)
from tests.support.servers import Asterisk, BusServer
from tests.support.ways import Way

_numbers = itertools.count()


@dataclass
class Scene:
    application: str
    bus: Bus
    rest: RestClient
    client: LegacyClient
    #: Every frame that Asterisk sent on the proxy's own socket, in order.
    frames: list[str] = field(default_factory=list)

    async def place_call(self, extension: str = "answer", **more: str) -> str:
        """A call from outside enters the application; returns its dialog."""
        known = set(self.client.events)
        query = {"endpoint": f"Local/{extension}@default/n", "app": self.application, **more}
        answer = await self.rest.request("POST", f"/channels?{urlencode(query)}")
        assert answer.status == 200, answer
        channel = json.loads(answer.body)["id"]
        client = self.client

        def started() -> list[str]:
            return [
                start["dialog_id"]
                for start in client.starts
                if start["channel_id"] == channel and client.events.get(start["dialog_id"])
            ]

        await client.until(started)
        (dialog_id,) = started()
        assert dialog_id not in known
        return dialog_id

    def channel(self, dialog_id: str) -> str:
        (start,) = [s for s in self.client.starts if s["dialog_id"] == dialog_id]
        channel: str = start["channel_id"]
        return channel

    async def do(self, dialog_id: str, method: str, url: str, **query: str) -> dict[str, Any]:
        url = f"{url}?{urlencode(query)}" if query else url
        return await self.client.command(dialog_id, method, url)

    async def event(self, dialog_id: str, event_type: str, **fields: str) -> dict[str, Any]:
        """Wait for an event of a dialog; fields like digit="1"."""

        def found() -> list[dict[str, Any]]:
            bodies = [json.loads(event["ari_body"]) for event in self.client.events[dialog_id]]
            return [
                body
                for body in bodies
                if body["type"] == event_type and fields.items() <= body.items()
            ]

        await self.client.until(found)
        return found()[0]

    async def hang_up(self, dialog_id: str) -> None:
        await self.do(dialog_id, "DELETE", f"/channels/{self.channel(dialog_id)}")
        await self.event(dialog_id, "ChannelDestroyed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    ways.parametrize(metafunc)


@pytest.fixture
def asterisk(request: pytest.FixtureRequest, way: Way) -> Asterisk:
    server: Asterisk = request.getfixturevalue(way.asterisk)
    return server


def recorder(frames: list[str], take: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a function that records a frame, unless it is not passed on, and has it taken."""

    def record(message: bytes) -> None:
        text = message.decode()
        is_own = text.startswith(f'{{"variable":"{DIALOG_VARIABLE}"') or CANARY_NAME in text
        if not is_own:
            frames.append(text)
        take(message)

    return record


@asynccontextmanager
async def recorded_proxy(settings: Settings) -> AsyncIterator[list[str]]:
    """Run the proxy; yields every frame that Asterisk sends it, in order."""
    frames: list[str] = []

    class Recording(DialledConnection):
        async def read(self, take: Callable[[bytes], None]) -> None:
            await super().read(recorder(frames, take))

    class OutboundRecording(OutboundEvents):
        async def read(self, connection: MessageConnection, take: Callable[[bytes], None]) -> None:
            await super().read(connection, recorder(frames, take))

    inbound = partial(factories.event_socket, connection=Recording)
    outbound = partial(factories.outbound_events, made=OutboundRecording)
    async with running_proxy(settings, event_socket=inbound, outbound_events=outbound):
        yield frames


@pytest.fixture
async def scene(way: Way, asterisk: Asterisk, bus_server: BusServer) -> AsyncIterator[Scene]:
    application = "demo" if way.is_outbound else f"demo{next(_numbers)}"
    settings = way.settings(bus_server, asterisk, application)
    async with (
        bus_client(settings) as bus,
        recorded_proxy(settings) as frames,
        asterisk_client(asterisk) as rest,
    ):
        client = LegacyClient(bus, application)
        await client.start()
        await client.listen("server-1")
        scene = Scene(application, bus, rest, client, frames)
        await until_registered(scene)
        await until_running(settings)
        yield scene
        await until(lambda: is_silent(rest))
        # What Asterisk keeps for a proxy that is away would come to the next test.
        await rest.request("POST", f"/events/user/over?application={application}")
        await until(lambda: any('"eventname":"over"' in frame for frame in frames))


async def is_silent(rest: RestClient) -> bool:
    """Return whether there is no channel; hang up those that there are."""
    answer = await rest.request("GET", "/channels")
    channels = json.loads(answer.body)
    for channel in channels:
        await rest.request("DELETE", f"/channels/{channel['id']}")
    return not channels


async def until_registered(scene: Scene) -> None:
    async def known() -> bool:
        answer = await scene.rest.request("GET", f"/applications/{scene.application}")
        return answer.status == 200

    await until(known)


async def assert_complete(scene: Scene) -> None:
    """Every frame of the websocket reached its dialog, or the server's topic, once and in order."""

    def delivered() -> int:
        return sum(len(events) for events in scene.client.events.values())

    await until(lambda: delivered() >= len(scene.frames))
    bodies = [json.loads(payload)["ari_body"] for payload in scene.client.raw_events]
    assert sorted(bodies) == sorted(scene.frames)
    for dialog_id, events in scene.client.events.items():
        sent = iter(scene.frames)
        assert all(event["ari_body"] in sent for event in events), f"{dialog_id}: out of order"
        if dialog_id != "server-1":
            assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))


@pytest.mark.every_way
async def test_call_with_playback_and_dtmf(scene: Scene) -> None:
    dialog = await scene.place_call("dtmf-123", appArgs="one,two words,três")
    channel = scene.channel(dialog)
    for digit in "123":
        await scene.event(dialog, "ChannelDtmfReceived", digit=digit)
    played = await scene.do(dialog, "POST", f"/channels/{channel}/play", media="sound:hello-world")
    own = await scene.do(
        dialog, "POST", f"/channels/{channel}/play/{channel}-mine", media="sound:digits/1"
    )
    await scene.client.until(lambda: scene.client.types(dialog).count("PlaybackFinished") == 2)
    await scene.hang_up(dialog)

    assert (played["status_code"], own["status_code"]) == (201, 201)
    assert token_of_object(json.loads(played["response_body"])["id"]) == token_of_dialog(
        DialogId(dialog)
    )
    assert json.loads(own["response_body"])["id"] == f"{channel}-mine"
    await assert_complete(scene)


async def test_bridge_of_two_channels_of_one_dialog(scene: Scene) -> None:
    dialog = await scene.place_call()
    channel = scene.channel(dialog)
    leg_answer = await scene.do(
        dialog,
        "POST",
        "/channels",
        endpoint="Local/answer@default/n",
        app=scene.application,
    )
    leg = json.loads(leg_answer["response_body"])["id"]
    await scene.client.until(lambda: scene.client.types(dialog).count("StasisStart") == 2)
    bridge_answer = await scene.do(dialog, "POST", "/bridges", type="mixing")
    bridge = json.loads(bridge_answer["response_body"])["id"]
    added = await scene.do(
        dialog, "POST", f"/bridges/{bridge}/addChannel", channel=f"{channel},{leg}"
    )
    await scene.client.until(lambda: scene.client.types(dialog).count("ChannelEnteredBridge") == 2)
    await scene.do(dialog, "DELETE", f"/channels/{channel}")
    await scene.event(dialog, "ChannelLeftBridge")
    still = await scene.do(dialog, "GET", f"/channels/{leg}")
    await scene.do(dialog, "DELETE", f"/channels/{leg}")
    await scene.client.until(lambda: scene.client.types(dialog).count("StasisEnd") == 2)
    await scene.do(dialog, "DELETE", f"/bridges/{bridge}")

    assert (added["status_code"], still["status_code"]) == (204, 200)
    assert len(scene.client.starts) == 1
    await assert_complete(scene)


async def test_recording(scene: Scene) -> None:
    dialog = await scene.place_call("echo")
    channel = scene.channel(dialog)
    name = f"rec-{channel}"
    started = await scene.do(dialog, "POST", f"/channels/{channel}/record", name=name, format="wav")
    await scene.event(dialog, "RecordingStarted")
    stopped = await scene.do(dialog, "POST", f"/recordings/live/{name}/stop")
    await scene.event(dialog, "RecordingFinished")
    await scene.hang_up(dialog)

    assert (started["status_code"], stopped["status_code"]) == (201, 204)
    await assert_complete(scene)


async def test_create_and_dial(scene: Scene) -> None:
    dialog = await scene.place_call()
    channel = scene.channel(dialog)
    created = await scene.do(
        dialog,
        "POST",
        "/channels/create",
        endpoint="Local/busy@default/n",
        app=scene.application,
    )
    leg = json.loads(created["response_body"])["id"]
    await scene.client.until(lambda: scene.client.types(dialog).count("StasisStart") == 2)
    dialled = await scene.do(dialog, "POST", f"/channels/{leg}/dial", caller=channel, timeout="5")
    await scene.event(dialog, "StasisEnd")
    await scene.hang_up(dialog)

    assert (created["status_code"], dialled["status_code"]) == (200, 204)
    assert len(scene.client.starts) == 1
    await assert_complete(scene)


async def test_inbound_call_is_answered_and_its_end_ends_the_dialog(scene: Scene) -> None:
    query = {
        "endpoint": f"Local/app-{scene.application}@default/n",
        "extension": "answer",
        "context": "default",
        "priority": "1",
        "channelId": f"out-{scene.application}",
        "otherChannelId": f"in-{scene.application}",
    }
    await scene.rest.request("POST", f"/channels?{urlencode(query)}")
    dialog = await scene.client.first_dialog()
    channel = scene.channel(dialog)
    answer = await scene.do(dialog, "POST", f"/channels/{channel}/answer")
    await scene.do(dialog, "DELETE", f"/channels/{channel}")
    await scene.event(dialog, "StasisEnd")

    assert channel == f"in-{scene.application}"
    assert answer["status_code"] == 204
    await assert_complete(scene)


@pytest.mark.every_way
async def test_transfer_by_refer_goes_on_in_the_same_dialog(
    scene: Scene, asterisk: Asterisk
) -> None:
    query = urlencode({"variable": "SIP_APP", "value": scene.application})
    await scene.rest.request("POST", f"/asterisk/variable?{query}")
    with asterisk.sip_call("refer.xml", "1000"):
        dialog = await scene.client.first_dialog()
        caller = scene.channel(dialog)
        await scene.do(dialog, "POST", f"/channels/{caller}/answer")
        answer = await scene.do(
            dialog, "POST", "/channels", endpoint="Local/answer@default/n", app=scene.application
        )
        agent = json.loads(answer["response_body"])["id"]
        await scene.client.until(lambda: scene.client.types(dialog).count("StasisStart") == 2)
        answer = await scene.do(dialog, "POST", "/bridges", type="mixing")
        bridge = json.loads(answer["response_body"])["id"]
        await scene.do(dialog, "POST", f"/bridges/{bridge}/addChannel", channel=f"{caller},{agent}")
        await scene.client.until(
            lambda: scene.client.types(dialog).count("ChannelEnteredBridge") == 2
        )
        await scene.do(dialog, "POST", f"/channels/{caller}/dtmf", dtmf="1")
        await scene.client.until(lambda: scene.client.types(dialog).count("StasisStart") == 3)
        bodies = [json.loads(event["ari_body"]) for event in scene.client.events[dialog]]
        transferred = [body for body in bodies if body["type"] == "StasisStart"][2]
        target = transferred["channel"]["id"]
        variable = await scene.do(
            dialog, "POST", f"/channels/{target}/variable", variable="AFTER", value="transfer"
        )
        await scene.event(dialog, "ChannelVarset", variable="AFTER")
        await scene.do(dialog, "DELETE", f"/channels/{agent}")
        await scene.do(dialog, "DELETE", f"/channels/{target}")
        await scene.client.until(lambda: scene.client.types(dialog).count("StasisEnd") == 3)

    assert transferred["replace_channel"]["id"] == caller
    assert variable["status_code"] == 204
    assert len(scene.client.starts) == 1
    await assert_complete(scene)


@pytest.mark.every_way
async def test_fifty_calls_at_once(scene: Scene) -> None:
    async def one() -> None:
        dialog = await scene.place_call("dtmf-1")
        channel = scene.channel(dialog)
        await scene.do(dialog, "POST", f"/channels/{channel}/play", media="sound:digits/1")
        await scene.event(dialog, "PlaybackFinished")
        await scene.hang_up(dialog)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(one())

    assert len(scene.client.starts) == 50
    await assert_complete(scene)


@pytest.mark.every_way
@pytest.mark.parametrize("chosen", [False, True], ids=["new-dialog", "chosen-dialog"])
async def test_application_places_a_call_without_a_dialog(scene: Scene, *, chosen: bool) -> None:
    server = ServerId("server-1")
    wanted = new_dialog_id(server) if chosen else ""
    if chosen:
        await scene.client.listen(wanted)
    query = urlencode({"endpoint": "Local/answer@default/n", "app": scene.application})
    command = Command("u-1", f"/channels?{query}", "POST", dialog_id=wanted)

    response = await call(scene.bus, server, command)
    client = scene.client
    await client.until(lambda: "StasisStart" in client.types_of(response.dialog_id))
    channel = json.loads(response.response_body)["id"]
    answer = await scene.do(response.dialog_id, "DELETE", f"/channels/{channel}")

    assert (response.status_code, response.unique_id) == (200, "u-1")
    assert token_of_object(channel) == token_of_dialog(DialogId(response.dialog_id))
    assert answer["status_code"] == 204
    announced = [start["dialog_id"] for start in client.starts]
    assert announced == ([] if chosen else [response.dialog_id])
    assert not chosen or response.dialog_id == wanted


async def end_of(scene: Scene, dialog: str) -> str:
    """Wait until the end of a dialog is told, and return the reason."""

    def told() -> list[dict[str, Any]]:
        others = [e for e in scene.client.events[dialog] if e["type"] == "ProxyDialogEnded"]
        return [*scene.client.ends.get(dialog, []), *others]

    await scene.client.until(told)
    (event,) = told()
    return str(json.loads(event["ari_body"])["reason"])


@pytest.mark.parametrize(
    ("endpoint", "query", "status", "reason", "last"),
    [
        ("PJSIP/nobody", {}, 500, "not_created", "ProxyDialogEnded"),
        ("Local/nonesuch@default", {}, 200, "channels_left", "ChannelDestroyed"),
        ("Local/busy@default", {}, 200, "channels_left", "ChannelDestroyed"),
        ("Local/ring@default", {"timeout": 1}, 200, "channels_left", "ChannelDestroyed"),
    ],
)
async def test_end_of_a_call_that_is_not_answered_is_told(
    scene: Scene, endpoint: str, query: dict[str, int], status: int, reason: str, last: str
) -> None:
    server = ServerId("server-1")
    dialog = new_dialog_id(server)
    await scene.client.listen(dialog)
    parameters = urlencode({"endpoint": endpoint, "app": scene.application, **query})

    response = await call(
        scene.bus, server, Command("u-1", f"/channels?{parameters}", "POST", dialog_id=dialog)
    )

    assert response.status_code == status
    assert await end_of(scene, dialog) == reason
    events = scene.client.events[dialog]
    assert events[-1]["type"] == last
    told = [*events, *scene.client.ends.get(dialog, [])]
    assert [event["sequence"] for event in told] == list(range(1, len(told) + 1))
    assert scene.client.starts == []


async def test_end_of_a_channel_that_was_created_and_not_dialled_is_told(scene: Scene) -> None:
    server = ServerId("server-1")
    dialog = new_dialog_id(server)
    await scene.client.listen(dialog)
    parameters = urlencode({"endpoint": "Local/answer@default", "app": scene.application})
    url = f"/channels/create?{parameters}"

    response = await call(scene.bus, server, Command("u-1", url, "POST", dialog_id=dialog))
    await scene.client.until(lambda: "StasisStart" in scene.client.types(dialog))
    channel = json.loads(response.response_body)["id"]
    await scene.do(dialog, "DELETE", f"/channels/{channel}")

    assert await end_of(scene, dialog) == "channels_left"
    assert scene.client.types(dialog)[-1] == "ChannelDestroyed"


async def test_end_of_an_ordinary_call_is_told(scene: Scene) -> None:
    dialog = await scene.place_call("answer")
    await scene.hang_up(dialog)

    assert await end_of(scene, dialog) == "channels_left"


@pytest.mark.every_way(old=False)
async def test_hang_up_overtakes_what_waits_behind_a_playback(scene: Scene) -> None:
    dialog = await scene.place_call()
    channel = f"/channels/{scene.channel(dialog)}"
    media = ",".join(["sound:hello-world"] * 20)
    await scene.do(dialog, "POST", f"{channel}/play", media=media)
    await scene.event(dialog, "PlaybackStarted")
    before = len(scene.client.responses[dialog])
    commands = [("slow", "POST", f"{channel}/variable?variable=A&value=1")]
    commands += [(f"{number}", "GET", "/asterisk/info") for number in range(3)]
    commands += [("hang-up", "DELETE", channel)]
    for unique_id, method, url in commands:
        command = {"unique_id": unique_id, "method": method, "url": url, "body": ""}
        scene.bus.publish(f"commands_{dialog}", json.dumps(command).encode())
    await scene.event(dialog, "ChannelDestroyed")
    await scene.client.until(lambda: len(scene.client.responses[dialog]) == before + 5)

    answered = [response["unique_id"] for response in scene.client.responses[dialog][before:]]
    assert answered.index("hang-up") < answered.index("2")
    assert [name for name in answered if name != "hang-up"] == ["slow", "0", "1", "2"]


@pytest.mark.every_way
async def test_array_of_commands_runs_in_order(scene: Scene) -> None:
    dialog = await scene.place_call()
    path = f"/channels/{scene.channel(dialog)}/variable"
    commands = [
        {"unique_id": str(n), "method": "POST", "url": f"{path}?variable=N&value={n}", "body": ""}
        for n in range(10)
    ]
    payload = json.dumps(commands).encode()

    reply = await scene.bus.request(f"commands_{dialog}", payload, timeout_seconds=10)
    await scene.client.until(lambda: len(scene.client.responses[dialog]) == 10)

    ids = [str(n) for n in range(10)]
    assert [response["unique_id"] for response in json.loads(reply)] == ids
    assert [response["unique_id"] for response in scene.client.responses[dialog]] == ids

    def values() -> list[str]:
        bodies = [json.loads(event["ari_body"]) for event in scene.client.events[dialog]]
        return [body["value"] for body in bodies if body.get("variable") == "N"]

    await scene.client.until(lambda: len(values()) == len(ids))
    assert values() == ids


async def test_nobody_listens_and_the_call_goes_on_in_the_dialplan(
    way: Way, asterisk: Asterisk, bus_server: BusServer
) -> None:
    application = "demo" if way.is_outbound else f"demo{next(_numbers)}"
    settings = way.settings(bus_server, asterisk, application, ingest={"listener_seconds": 1})
    async with (
        bus_client(settings) as bus,
        recorded_proxy(settings) as frames,
        asterisk_client(asterisk) as rest,
    ):
        scene = Scene(application, bus, rest, LegacyClient(bus, application), frames)
        await until_registered(scene)
        await scene.client.listen("server-1")
        query = {"endpoint": f"Local/app-{application}@default/n", "extension": "answer"}
        query |= {"context": "default", "priority": "1"}
        query |= {"channelId": f"out-{application}", "otherChannelId": f"in-{application}"}
        await rest.request("POST", f"/channels?{urlencode(query)}")

        # The dialplan hangs up after Stasis(): the channel is gone, nobody is stuck.
        async with asyncio.timeout(10):
            while (await rest.request("GET", f"/channels/in-{application}")).status == 404:
                await asyncio.sleep(0.01)
            while (await rest.request("GET", f"/channels/in-{application}")).status != 404:
                await asyncio.sleep(0.01)


async def test_device_states_reach_whoever_listens_to_the_server(scene: Scene) -> None:
    server = ServerId("server-1")
    device = f"Stasis:{scene.application}"
    source = urlencode({"eventSource": f"deviceState:{device}"})
    path = f"/applications/{scene.application}/subscription?{source}"
    subscribed = await call(scene.bus, server, Command("1", path, "POST"))
    state = Command("2", f"/deviceStates/{device}?deviceState=INUSE", "PUT")
    changed = await call(scene.bus, server, state)
    body = await scene.event("server-1", "DeviceStateChanged")
    await call(scene.bus, server, Command("3", f"/deviceStates/{device}", "DELETE"))

    assert (subscribed.status_code, changed.status_code) == (200, 204)
    assert body["device_state"] == {"name": device, "state": "INUSE"}


async def test_endpoint_states_reach_whoever_listens_to_the_server(
    scene: Scene, asterisk: Asterisk
) -> None:
    async def is_away() -> bool:
        answer = await scene.rest.request("GET", "/endpoints/PJSIP/sipp")
        return bool(json.loads(answer.body)["state"] != "online")

    await until(is_away)  # Another test's peer is gone by now, but Asterisk may not know yet.
    source = urlencode({"eventSource": "endpoint:PJSIP/sipp"})
    path = f"/applications/{scene.application}/subscription?{source}"
    subscribed = await call(scene.bus, ServerId("server-1"), Command("1", path, "POST"))
    async with asterisk.reachable_peer():
        changed = await scene.event("server-1", "EndpointStateChange")
        # Asterisk may first have noticed that another test's peer is gone.
        await scene.client.until(lambda: contact_statuses(scene)[-1:] == ["Reachable"])

    assert changed["endpoint"]["state"] == "online"
    assert subscribed.status_code == 200


def contact_statuses(scene: Scene) -> list[str]:
    bodies = [json.loads(event["ari_body"]) for event in scene.client.events["server-1"]]
    changes = [body for body in bodies if body["type"] == "ContactStatusChange"]
    assert {body["endpoint"]["resource"] for body in changes} <= {"sipp"}
    return [body["contact_info"]["contact_status"] for body in changes]


@pytest.mark.parametrize("nothing", ["null", '""', "5"])
async def test_what_a_body_names_by_nothing_is_the_dialogs(scene: Scene, nothing: str) -> None:
    """Serializers of Java and .NET write a null for each parameter that is not set."""
    dialog = await scene.place_call()
    channel = f"/channels/{scene.channel(dialog)}"
    local = f"endpoint=Local/answer@default/n&app={scene.application}"
    requests = {
        f"/channels?{local}": "channelId",
        f"/channels/create?{local}": "channelId",
        f"{channel}/snoop?spy=in&app={scene.application}": "snoopId",
        f"{channel}/play?media=sound:hello-world": "playbackId",
        "/bridges?type=mixing": "bridgeId",
    }
    made = {}
    for url, parameter in requests.items():
        response = await scene.client.command(dialog, "POST", url, f'{{"{parameter}":{nothing}}}')
        assert response["status_code"] in {200, 201}, (url, response)
        made[url] = json.loads(response["response_body"])["id"]
    await scene.event(dialog, "PlaybackStarted")
    legs = [made[url] for url, parameter in requests.items() if parameter != "playbackId"][:3]

    def entered() -> set[str]:
        bodies = [json.loads(event["ari_body"]) for event in scene.client.events[dialog]]
        return {body["channel"]["id"] for body in bodies if body["type"] == "StasisStart"}

    await scene.client.until(lambda: set(legs) <= entered())
    await scene.rest.request("DELETE", f"/bridges/{made['/bridges?type=mixing']}")

    assert {token_of_object(name) for name in made.values()} == {token_of_dialog(DialogId(dialog))}
    assert len([s for s in scene.client.starts if s["channel_id"] in legs]) == 0


async def test_recording_is_read_by_other_spellings_of_its_name(scene: Scene) -> None:
    """Which is why limits on stored recordings refuse them (test_policy.py)."""
    dialog = await scene.place_call()
    channel = f"/channels/{scene.channel(dialog)}"
    folder = scene.application
    await scene.do(dialog, "POST", f"{channel}/record", name=f"{folder}/a", format="wav")
    await scene.event(dialog, "RecordingStarted")
    stop = await scene.do(dialog, "POST", f"/recordings/live/{folder}%2Fa/stop")
    await scene.event(dialog, "RecordingFinished")
    names = [f"{folder}%2Fa", f"{folder}%2F%2Fa", f"%2F{folder}%2Fa"]
    read = [await scene.do(dialog, "GET", f"/recordings/stored/{name}") for name in names]
    gone = await scene.do(dialog, "DELETE", f"/recordings/stored/{names[1]}")
    after = await scene.do(dialog, "GET", f"/recordings/stored/{names[0]}")

    assert stop["status_code"] == 204
    assert [answer["status_code"] for answer in read] == [200, 200, 200]
    assert (gone["status_code"], after["status_code"]) == (204, 404)
