"""Answers to executors: registered objects, and owners."""

import json
from collections.abc import AsyncIterator
from typing import Final

import msgspec
import pytest

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.ingest.registrations import ObjectRegistrations
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import (
    ObjectKind,
    ObjectRegistration,
    OwnershipQuery,
    OwnershipReply,
    RegistrationReply,
)
from tests.support.malformed import DEEPLY_NESTED

DIALOG: Final = DialogId("s.0123456789abcdef")


class Setting:
    """The registrations of one server, on a bus in memory."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.dialogs = DialogTable(ServerId("s"), grace_seconds=10)
        self.registrations = ObjectRegistrations(bus, self.dialogs)

    async def register(self, payload: bytes) -> RegistrationReply:
        """Send a registration; return the answer."""
        reply = await self.bus.request("bindings", payload, timeout_seconds=5)
        return msgspec.json.decode(reply, type=RegistrationReply)

    async def query(self, *objects: tuple[ObjectKind, str]) -> OwnershipReply:
        """Ask which objects belong to the dialog."""
        question = msgspec.json.encode(OwnershipQuery(DIALOG, list(objects)))
        reply = await self.bus.request("owners", question, timeout_seconds=5)
        return msgspec.json.decode(reply, type=OwnershipReply)


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        assert isinstance(bus, MemoryBus)
        await bus.wait_connected()
        made = Setting(bus)
        await bus.subscribe("bindings", made.registrations.on_binding)
        await bus.subscribe("owners", made.registrations.on_question)
        yield made


def encoded(name: str) -> bytes:
    return msgspec.json.encode(ObjectRegistration(DIALOG, "channel", name, application="demo"))


async def test_registered_object_is_new_once_and_found_with_its_dialog(setting: Setting) -> None:
    first = await setting.register(encoded("c"))
    again = await setting.register(encoded("c"))
    owned = await setting.query(("channel", "c"), ("bridge", "c"), ("channel", "d"))

    assert (first.error, first.is_new, again.is_new) == ("", True, False)
    assert (owned.application, list(map(tuple, owned.owned))) == ("demo", [("channel", "c")])


async def test_objects_of_an_unknown_dialog_belong_to_nobody(setting: Setting) -> None:
    assert await setting.query(("channel", "c")) == OwnershipReply("", ())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        DEEPLY_NESTED,
        json.dumps({"dialog_id": "a b", "kind": "channel", "object_id": "c"}).encode(),
    ],
)
async def test_registration_that_is_none_is_refused_and_changes_nothing(
    setting: Setting, payload: bytes
) -> None:
    answer = await setting.register(payload)

    assert answer.error
    assert not answer.is_new
    assert len(setting.dialogs) == 0


async def test_message_without_a_reply_topic_is_not_answered(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    setting.registrations.on_binding(Message("bindings", encoded("c")))
    setting.registrations.on_question(Message("owners", b"no question"))

    assert len(setting.dialogs) == 1
    assert "question.malformed" in "".join(capsys.readouterr())
