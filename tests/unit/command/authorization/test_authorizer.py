"""Who may do what with whose objects: policies by application, and the scope of a dialog."""

from typing import Any

import pytest

from ari_proxy.command.authorization.object_refs import ObjectRef
from ari_proxy.command.authorization.ownership import Ownership
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.messages import ObjectRegistration
from ari_proxy.settings.command import CommandSettings, PolicySettings
from tests.support.event_path import SERVER
from tests.support.execution import DIALOG, OTHER, Execution, error_of, execution
from tests.support.malformed import DEEPLY_NESTED

NARROW = CommandSettings(scope="dialog")
BY_APPLICATION = CommandSettings(applications={"ivr": PolicySettings(allow=("GET /**",))})
OWN_RECORDINGS = CommandSettings(stored_recordings="own")
NO_RECORDINGS = CommandSettings(stored_recordings="none")


def opened(it: Execution) -> Execution:
    """Two dialogs, each with a channel."""
    it.open(DIALOG, "c", "demo")
    it.open(OTHER, "theirs", "ivr")
    return it


async def test_nothing_is_asked_of_ingest_while_nothing_is_limited() -> None:
    async with execution() as it:
        await it.ingest_ends()
        response = await it.do("DELETE", "/channels/theirs")

    assert response.status_code == 204


async def test_application_has_a_policy_of_its_own() -> None:
    async with execution(BY_APPLICATION) as it:
        opened(it)
        refused = await it.do("POST", "/channels/theirs/answer", dialog=OTHER)
        allowed = await it.do("POST", "/channels/c/answer")

    assert error_of(refused) == (403, "policy", False)
    assert allowed.status_code == 204


async def test_policy_of_all_holds_for_a_dialog_that_ingest_does_not_know() -> None:
    async with execution(BY_APPLICATION) as it:
        response = await it.do("POST", "/channels/theirs/answer", dialog=OTHER)

    assert response.status_code == 204


@pytest.mark.parametrize("settings", [BY_APPLICATION, NARROW], ids=["policy", "scope"])
async def test_command_is_refused_where_the_answer_of_ingest_is_none(
    settings: CommandSettings,
) -> None:
    async with execution(settings) as it:
        opened(it)
        await it.ingest_answers(DEEPLY_NESTED)
        response = await it.do("POST", "/channels/theirs/answer")

    assert error_of(response) == (503, "policy", False)
    assert it.requests == []


@pytest.mark.parametrize("settings", [BY_APPLICATION, NARROW], ids=["policy", "scope"])
async def test_command_is_refused_where_ingest_could_not_be_asked(
    settings: CommandSettings,
) -> None:
    async with execution(settings) as it:
        opened(it)
        await it.ingest_ends()
        response = await it.do("POST", "/channels/c/answer")

    assert error_of(response) == (503, "policy", False)
    assert it.requests == []


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("DELETE", "/channels/theirs", ""),
        ("POST", "/channels/theirs/answer", ""),
        ("POST", "/bridges/x/addChannel?channel=c,theirs", ""),
        ("POST", "/bridges/x/addChannel", '{"channel":["theirs"]}'),
        ("POST", "/channels?endpoint=x&originator=theirs", ""),
        ("POST", "/events/user/x?application=demo&source=channel:theirs", ""),
        ("GET", "/channels", ""),
        ("GET", "/something/new", ""),
    ],
)
async def test_dialog_does_not_touch_objects_of_others(method: str, url: str, body: str) -> None:
    async with execution(NARROW) as it:
        opened(it)
        response = await it.do(method, url, body)

    assert error_of(response) == (403, "scope", False)
    assert it.requests == []


async def test_dialog_touches_what_is_its_own() -> None:
    named = ids.new_object_id(ids.token_of_dialog(DIALOG))
    async with execution(NARROW) as it:
        opened(it)
        await it.do("POST", "/bridges?bridgeId=mine")
        responses = [
            await it.do("POST", "/channels/c/answer"),
            await it.do("POST", f"/bridges/mine/addChannel?channel=c,{named}"),
            await it.do("DELETE", f"/channels/{named}"),
            await it.do("DELETE", f"/channels/{named};2"),
        ]

    assert {response.status_code for response in responses} == {204}


async def test_name_of_another_dialogs_object_is_not_taken() -> None:
    async with execution(NARROW) as it:
        opened(it)
        it.path.dialogs.register(ObjectRegistration(OTHER, "bridge", "taken"), 0)
        response = await it.do("POST", "/bridges?bridgeId=taken")

    assert error_of(response) == (409, "scope", False)
    assert it.requests == []
    assert it.path.dialogs.objects.owns(OTHER, "bridge", "taken")


@pytest.mark.parametrize(
    ("settings", "statuses"),
    [
        (CommandSettings(), [204, 204, 204, 204]),
        (OWN_RECORDINGS, [204, 403, 403, 403]),
        (NO_RECORDINGS, [403, 403, 403, 403]),
    ],
    ids=["all", "own", "none"],
)
async def test_stored_recordings_are_limited_apart(
    settings: CommandSettings, statuses: list[int]
) -> None:
    async with execution(settings) as it:
        opened(it)
        it.path.dialogs.register(ObjectRegistration(DIALOG, "recording", "mine"), 0)
        urls = [
            ("GET", "/recordings/stored/mine"),
            ("GET", "/recordings/stored/theirs"),
            ("POST", "/channels/c/play?media=sound:x,recording:theirs"),
            ("GET", "/recordings/stored"),
        ]
        found = [(await it.do(method, url)).status_code for method, url in urls]

    assert found == statuses


async def test_command_of_the_server_belongs_to_no_dialog() -> None:
    async with execution(NARROW) as it:
        opened(it)
        refused = await it.do_for_server("DELETE", "/channels/c")

    assert error_of(refused) == (403, "scope", False)


# What only ingest knows


async def test_application_of_a_dialog_is_asked_once() -> None:
    async with execution() as it:
        opened(it)
        ownership = Ownership(SERVER, it.path.application.bus)
        first = await ownership.application_of(OTHER)
        await it.ingest_ends()

        assert (first, await ownership.application_of(OTHER)) == ("ivr", "ivr")


async def test_dialog_that_ingest_does_not_know_yet_is_asked_for_again() -> None:
    async with execution() as it:
        ownership = Ownership(SERVER, it.path.application.bus)
        before = await ownership.application_of(DIALOG)
        opened(it)

        assert (before, await ownership.application_of(DIALOG)) == ("", "demo")


async def test_only_so_many_applications_are_kept() -> None:
    async with execution() as it:
        opened(it)
        ownership = Ownership(SERVER, it.path.application.bus, max_kept=1)
        for dialog in (DIALOG, OTHER):
            await ownership.application_of(dialog)
        asked = await it.path.application.listen(topics.owners(SERVER))
        for dialog in (OTHER, DIALOG):
            await ownership.application_of(dialog)

    assert len(asked) == 1


async def test_object_whose_name_tells_the_dialog_is_not_asked_for() -> None:
    own: list[Any] = [
        ObjectRef("channel", ids.new_object_id(ids.token_of_dialog(DIALOG)) + half)
        for half in ("", ids.PEER_HALF)
    ]
    async with execution() as it:
        opened(it)
        ownership = Ownership(SERVER, it.path.application.bus)
        not_owned = await ownership.not_owned(
            DIALOG, [*own, ObjectRef("channel", "c"), ObjectRef("channel", "theirs")]
        )
        await it.ingest_ends()

        assert not_owned == [ObjectRef("channel", "theirs")]
        assert await ownership.not_owned(DIALOG, own) == []
