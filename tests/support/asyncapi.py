"""Writes docs/reference/asyncapi.yaml, the wire as an AsyncAPI document: `make reference`.

It describes ari-proxy: what it sends, applications receive. Topics, messages, properties of queues
and errors come from the code; the schemas are those of docs/reference/schemas.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from ari_proxy import schemas
from ari_proxy.__about__ import __version__
from ari_proxy.bus.rabbitmq import topology
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import MAX_COMMANDS, TRACEPARENT
from ari_proxy.settings.bus import BusSettings
from tests.support import command_errors

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reference" / "asyncapi.yaml"

Node = dict[str, Any]

_HEAD: Final = """\
# Generated from the code by `make reference`; a test keeps it up to date.
# The prose is in wire.md.
"""
_ABOUT: Final = """\
Asterisk's calls on a message bus. This document describes ari-proxy: an application receives what
ari-proxy sends, and sends what ari-proxy receives. The rules of order, delivery and the life of a
dialog are in wire.md, in the same folder.

All messages are JSON objects in UTF-8; ignore unknown fields. Topics that are internal to ari-proxy
are left out.
"""
_JSON: Final = "application/json"
_SERVER: Final = ServerId("asterisk-1")
#: A dialog of it on NATS, and on RabbitMQ.
_DIALOGS: Final = tuple(
    ids.new_dialog_id(_SERVER, lambda length: "k3v9x0m2r8t5c7wq"[:length], form=form)
    for form in ("token", "uuid")
)
#: What the topics of applications, dialogs and servers have in their names.
_PARAMETERS: Final = {
    "application": {
        "description": "A Stasis application: one token of a NATS subject, at most 80 bytes.",
        "examples": ["demo"],
    },
    "dialog_id": {
        "description": "AppStart's. Treat it as opaque: a UUID or `<server_id>.<token>` on "
        "RabbitMQ, always the latter on NATS.",
        "examples": list(_DIALOGS),
    },
    "server_id": {
        "description": "The `server_id` of the proxy, and so of its Asterisk.",
        "examples": [_SERVER],
    },
}
#: Events of ari-proxy's own that belong to no dialog.
_OF_SERVER: Final = frozenset({proxy_events.RECOVERED})
_OTHER_EVENT: Final = "OtherEvent"
#: The reasons that ari-proxy gives today; a newer one may know more.
_REASONS: Final[Mapping[str, Any]] = {
    proxy_events.GAP: proxy_events.GapReason,
    proxy_events.DIALOG_ENDED: proxy_events.EndReason,
}
_REPLY_ADDRESS: Final = {
    "location": "$message.header#/reply_to",
    "description": "The reply subject of NATS, or the property `reply_to` of AMQP, whose "
    "`correlation_id` is returned.",
}


def text() -> str:
    """Return docs/reference/asyncapi.yaml."""
    return _HEAD + yaml.dump(
        document(), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )


def document() -> Node:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "ari-proxy", "version": __version__, "description": _ABOUT},
        "defaultContentType": _JSON,
        "servers": _servers(),
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "parameters": _PARAMETERS,
            "schemas": {"ProxyError": _proxy_error()},
            "securitySchemes": {"password": {"type": "userPassword"}},
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and nothing by an alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (PyYAML's signature)
        """Return that an object is written wherever it stands."""
        return True


def _string(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, "|" if "\n" in value else None)


_Dumper.add_representer(str, _string)


def _servers() -> Node:
    def server(host: str, protocol: str, version: Node, about: str) -> Node:
        return {
            "host": host,
            "protocol": protocol,
            **version,
            "description": about,
            "security": [_ref("components", "securitySchemes", "password")],
        }

    return {
        "nats": server(
            "127.0.0.1:4222", "nats", {}, "NATS; also with TLS, tokens, nkeys and credentials."
        ),
        "rabbitmq": server(
            "127.0.0.1:5672", "amqp", {"protocolVersion": "0.9.1"}, "RabbitMQ; also with TLS."
        ),
    }


# Channels


def _channels() -> Node:
    events, of_server = _event_names()
    responses = ["CommandResponse"]
    commands = ["Command", "Commands"]
    return {
        "application": _channel("{application}", "application", "demo", ["AppStart"]),
        "recoveredCalls": _channel(
            topics.recovered("{application}"), "application", topics.recovered("demo"), ["AppStart"]
        ),
        "appStartReplies": _replies(["AppStartReply"]),
        "dialogEvents": _of_dialog(topics.events, events),
        "dialogCommands": _of_dialog(topics.commands, commands),
        "dialogResponses": _of_dialog(topics.responses, responses),
        "dialogReplies": _replies(["CommandResponse", "CommandResponses"]),
        "serverEvents": _of_server(topics.events, of_server),
        "serverCommands": _of_server(topics.commands, commands),
        "serverResponses": _of_server(topics.responses, ["ServerCommandResponse"]),
        "serverReplies": _replies(["ServerCommandResponse", "ServerCommandResponses"]),
    }


def _event_names() -> tuple[list[str], list[str]]:
    """Return the events of dialogs, and those of a server."""
    asterisk = [name for name in schemas.EVENTS if not name.startswith("Proxy")]
    own = [name for name in schemas.EVENTS if name.startswith("Proxy")]
    of_dialog = [name for name in own if name not in _OF_SERVER]
    return [*asterisk, *of_dialog, _OTHER_EVENT], [*asterisk, *sorted(_OF_SERVER), _OTHER_EVENT]


def _of_dialog(topic: Callable[[DialogId], str], messages: Iterable[str]) -> Node:
    address, example = topic(DialogId("{dialog_id}")), topic(_DIALOGS[-1])
    return _channel(address, "dialog_id", example, messages)


def _of_server(topic: Callable[[ServerId], str], messages: Iterable[str]) -> Node:
    return _channel(topic(ServerId("{server_id}")), "server_id", topic(_SERVER), messages)


def _channel(address: str, parameter: str, example: str, messages: Iterable[str]) -> Node:
    return {
        "address": address,
        "parameters": {parameter: _ref("components", "parameters", parameter)},
        "messages": {name: _ref("components", "messages", name) for name in messages},
        "bindings": {"amqp": _amqp_channel(example)},
    }


def _replies(messages: Iterable[str]) -> Node:
    return {
        "address": None,
        "messages": {name: _ref("components", "messages", name) for name in messages},
    }


def _amqp_channel(topic: str) -> Node:
    if topics.is_queue(topic):
        queue = {"durable": True, "exclusive": False, "autoDelete": False}
        return {"is": "queue", "queue": queue, "bindingVersion": "0.3.0"}
    exchange = {"name": topology.EXCHANGE, "type": "topic", "durable": True, "autoDelete": False}
    return {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}


# Operations


def _operations() -> Node:
    return {
        "announceDialog": {
            **_sends("application", "Offers a new dialog to one instance of the application."),
            "reply": {
                "address": {
                    "location": _REPLY_ADDRESS["location"],
                    "description": "NATS only: its reply subject. On RabbitMQ reject the message.",
                },
                "channel": _ref("channels", "appStartReplies"),
            },
        },
        "reassignDialog": _sends(
            "recoveredCalls", "Offers a dialog whose instance of the application is gone."
        ),
        "sendEvents": _sends("dialogEvents", "Sends the events of a dialog, in order."),
        "executeCommands": {
            **_executes("dialogCommands", "Executes the commands of a dialog, in order."),
            "reply": {"channel": _ref("channels", "dialogResponses")},
        },
        "answerRequests": {
            **_executes("dialogCommands", "Answers a command that has a reply address there, too."),
            "reply": {"address": _REPLY_ADDRESS, "channel": _ref("channels", "dialogReplies")},
        },
        "sendServerEvents": _sends("serverEvents", "Sends the events that belong to no dialog."),
        "executeServerCommands": {
            **_executes("serverCommands", "Executes commands that belong to no dialog."),
            "reply": {"channel": _ref("channels", "serverResponses")},
        },
        "answerServerRequests": {
            **_executes("serverCommands", "Answers a command that has a reply address there, too."),
            "reply": {"address": _REPLY_ADDRESS, "channel": _ref("channels", "serverReplies")},
        },
    }


def _sends(channel: str, summary: str) -> Node:
    mode = 2 if BusSettings.model_fields["persistent"].default else 1
    return {
        "action": "send",
        "channel": _ref("channels", channel),
        "summary": summary,
        "bindings": {"amqp": {"deliveryMode": mode, "bindingVersion": "0.3.0"}},
    }


def _executes(channel: str, summary: str) -> Node:
    group = BusSettings.model_fields["queue"].default
    return {
        "action": "receive",
        "channel": _ref("channels", channel),
        "summary": summary,
        "bindings": {
            "nats": {"queue": group, "bindingVersion": "0.1.0"},
            "amqp": {"ack": True, "bindingVersion": "0.3.0"},
        },
    }


# Messages


def _messages() -> Node:
    response = "The result of one command: Asterisk's answer, or an error of ari-proxy's."
    responses = "The results of an array of commands, in its order."
    return {
        "AppStart": _message("AppStart", "A new dialog.", headers=[TRACEPARENT, "reply_to"]),
        "AppStartReply": _message("AppStartReply", "Declines a dialog; no reply is needed."),
        "Command": _command(
            "A request to ARI. The text `DUMMY`, which go-ari-proxy's library sends first, is "
            "ignored.",
            _external("messages", "Command"),
        ),
        "Commands": _command(
            "Commands that one executor executes in order; each gets its own response.",
            {
                "type": "array",
                "items": _external("messages", "Command"),
                "maxItems": MAX_COMMANDS,
            },
        ),
        **_responses("CommandResponse", response, responses),
        **_responses("ServerCommandResponse", response, responses),
        **{name: _event(name) for name in schemas.EVENTS},
        _OTHER_EVENT: _other_event(),
    }


def _message(name: str, summary: str, *, headers: Iterable[str] = ()) -> Node:
    return {
        "summary": summary,
        **_headers(headers),
        "payload": _external("messages", name),
    }


def _headers(names: Iterable[str]) -> Node:
    properties = {name: {"type": "string"} for name in names}
    return {"headers": {"type": "object", "properties": properties}} if properties else {}


def _command(summary: str, payload: Node) -> Node:
    correlation = {"correlationId": _correlation()} if "$ref" in payload else {}
    headers = _headers(["reply_to", "correlation_id", TRACEPARENT])
    return {"summary": summary, **headers, **correlation, "payload": payload}


def _correlation() -> Node:
    return {"location": "$message.payload#/unique_id"}


def _responses(name: str, one: str, several: str) -> Node:
    """Return the message with the response to a command, and that with those to several."""
    body = _body_of("response_body", _ref("components", "schemas", "ProxyError"))
    errors = {
        "if": {"properties": {"response_body": {"pattern": r'"error":"ari_proxy\.'}}},
        "then": {"properties": body},
    }
    payload = {"allOf": [_external("messages", name), errors]}
    headers = _headers(["correlation_id", TRACEPARENT])
    return {
        name: {"summary": one, **headers, "correlationId": _correlation(), "payload": payload},
        f"{name}s": {"summary": several, "payload": {"type": "array", "items": payload}},
    }


def _event(name: str) -> Node:
    body = _external("events", name)
    if reasons := get_args(_REASONS.get(name)):
        body = {"allOf": [body, {"properties": {"reason": {"examples": list(reasons)}}}]}
    fields = {"type": {"const": name}, **_body_of("ari_body", body)}
    return {
        "summary": str(schemas.EVENTS[name].__doc__).partition("\n")[0],
        "payload": {"allOf": [_external("messages", "Event"), {"properties": fields}]},
    }


def _other_event() -> Node:
    fields = {"type": {"not": {"enum": list(schemas.EVENTS)}}}
    return {
        "summary": "An event of a type that is newer than this document.",
        "payload": {"allOf": [_external("messages", "Event"), {"properties": fields}]},
    }


def _body_of(field: str, schema: Node) -> Node:
    """Return a field whose text is JSON."""
    return {field: {"contentMediaType": _JSON, "contentSchema": schema}}


def _proxy_error() -> Node:
    statuses: defaultdict[str, list[int]] = defaultdict(list)
    for status, error in sorted(command_errors.all_pairs()):
        statuses[error].append(status)
    return {
        "description": "The `response_body` of a command that Asterisk has not answered. `sent` is "
        "false if the request provably did not reach Asterisk.",
        "type": "object",
        "required": ["message", "error", "sent"],
        "properties": {
            "message": {"type": "string"},
            "error": {"enum": sorted(statuses)},
            "sent": {"type": "boolean"},
        },
        "x-statuses": dict(sorted(statuses.items())),
    }


def _ref(*path: str) -> Node:
    return {"$ref": "#/" + "/".join(path)}


def _external(document: str, name: str) -> Node:
    return {"$ref": f"schemas/{document}.json#/$defs/{name}"}
