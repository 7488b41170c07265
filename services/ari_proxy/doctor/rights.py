"""Tries each service's rights on the bus; no message reaches a listener."""

import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Final

from ari_proxy.bus.base import Bus, Right, Verdict
from ari_proxy.bus.errors import BusRefusedError
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.settings.load import Settings

from .findings import Finding, Level

_REMEDY: Final = "give the account the rights of docs/reference/wire.md#permissions"
_OLD_SERVER: Final = (
    "only nats-server 2.11 or later can check this without reaching listeners; compare the "
    "account with docs/reference/wire.md#permissions"
)
_DONE: Final[Mapping[str, str]] = {
    "publish": "publish to",
    "subscribe": "subscribe to",
    "declare": "declare",
    "consume": "consume",
    "answer": "answer to",
}


def needed(settings: Settings) -> Mapping[str, tuple[Right, ...]]:
    """Return the rights that each service needs, for the example of an unused dialog."""
    server = ServerId(settings.server_id)
    dialog = ids.new_dialog_id(server, form=settings.bus.dialog_form)
    if settings.bus.kind == "RABBITMQ":
        kept = {
            "ingest": _queues_of_ingest(settings, dialog),
            "command": _queues_of_command(server, dialog),
        }
    else:
        inbox = f"{settings.bus.inbox_prefix}.{secrets.token_hex(8)}"
        answers = (Right("answer", inbox),)
        of_all = Right("subscribe", topics.commands_of_all_dialogs(server))
        kept = {
            "ingest": answers,
            "command": (*answers, of_all, Right("subscribe", topics.commands(server))),
        }
    sent = {
        "ingest": (*_announced(settings), *_sent_by_ingest(server, dialog)),
        "command": (*_sent_by_command(server, dialog), *_asked_by_command(settings, server)),
    }
    return {
        service: (
            *(Right("publish", topic) for topic in sent[service]),
            *(Right("subscribe", topic) for topic in heard),
            *kept[service],
        )
        for service, heard in _heard(server).items()
    }


def _heard(server: ServerId) -> Mapping[str, tuple[str, ...]]:
    watching = topics.tap_requests(server)
    own = (topics.bindings(server), topics.owners(server), topics.hand_over(server))
    return {"ingest": (*own, watching, topics.tap_records(server)), "command": (watching,)}


def _announced(settings: Settings) -> tuple[str, ...]:
    """Return where calls are announced."""
    return (*settings.applications, *map(topics.recovered, settings.applications))


def _sent_by_ingest(server: ServerId, dialog: DialogId) -> tuple[str, ...]:
    return (
        topics.events(server),
        topics.events(dialog),
        topics.hand_over(server),
        topics.tap_requests(server),
        topics.tap_records(server),
    )


def _sent_by_command(server: ServerId, dialog: DialogId) -> tuple[str, ...]:
    return (
        topics.responses(server),
        topics.responses(dialog),
        topics.bindings(server),
        topics.owners(server),
        topics.tap_records(server),
    )


def _asked_by_command(settings: Settings, server: ServerId) -> tuple[str, ...]:
    """Where an executor without a websocket asks for others."""
    return (topics.commands(server),) if settings.ari.connection == "outbound" else ()


def _queues_of_ingest(settings: Settings, dialog: DialogId) -> tuple[Right, ...]:
    registry = topics.registry(ServerId(settings.server_id))
    queues = (*_announced(settings), *topics.of_dialog(dialog), registry)
    return (*(Right("declare", queue) for queue in queues), Right("consume", registry))


def _queues_of_command(server: ServerId, dialog: DialogId) -> tuple[Right, ...]:
    return (
        Right("subscribe", topics.commands_of_all_dialogs(server)),
        Right("declare", topics.commands(server)),
        Right("consume", topics.commands(server)),
        Right("consume", topics.commands(dialog)),
    )


async def rights(settings: Settings, bus: Bus) -> AsyncIterator[Finding]:
    """Yield for each service whether the account has the rights it needs.

    A missing right is a fault, or a warning if the account has all rights of the other service.

    Raises:
        BusError, TimeoutError: the bus gave no verdict.
    """
    verdicts = {
        service: {right: await _verdict(bus, right) for right in wanted}
        for service, wanted in needed(settings).items()
    }
    is_of_one = not all("refused" in found.values() for found in verdicts.values())
    for service, found in verdicts.items():
        level: Level = "warning" if is_of_one else "fault"
        for finding in _findings(f"bus, rights of {service}", settings.bus.kind, found, level):
            yield finding


def _findings(
    what: str, bus: str, verdicts: Mapping[Right, Verdict], level: Level
) -> Iterator[Finding]:
    refused, unknown = _those(verdicts, "refused"), _those(verdicts, "unknown")
    if refused:
        yield Finding(level, what, f"{bus} refuses to {refused}", _REMEDY)
    if unknown:
        yield Finding("warning", what, f"not tried: to {unknown}", _OLD_SERVER)
    if not refused and not unknown:
        yield Finding("ok", what, "all granted")


def _those(verdicts: Mapping[Right, Verdict], wanted: Verdict) -> str:
    return ", ".join(
        f"{_DONE[right.action]} {topics.pattern_of(right.topic)}"
        for right, verdict in verdicts.items()
        if verdict == wanted
    )


async def _verdict(bus: Bus, right: Right) -> Verdict:
    verdict = await bus.try_right(right)
    if verdict == "unknown" and topics.is_of_dialog(right.topic):  # Without a listener.
        try:
            await bus.publish_to_listener(right.topic, b"{}")
        except BusRefusedError:
            return "refused"
        return "granted"
    return verdict
