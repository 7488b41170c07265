import re
import ssl
from collections import Counter
from typing import get_args

import msgspec
import pytest
from pamqp import frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.rabbitmq import topology
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from ari_proxy.protocol import ids


def published(
    topic: str, payload: bytes = b"{}", reply: str = ""
) -> tuple[Basic.Publish, ContentHeader]:
    """Return the method and the header of an encoded message."""
    data = topology.encode(
        1, topic, payload, topology.properties_for(reply, "", persistent=False), 4096
    )
    size, _, method = frame.unmarshal(data)
    assert isinstance(method, Basic.Publish)
    _, _, head = frame.unmarshal(data[size:])
    assert isinstance(head, ContentHeader)
    return method, head


@pytest.mark.parametrize(
    ("topic", "exchange", "mandatory"),
    [
        ("demo", "", True),
        ("events_server.0123456789abcdef", "", True),
        ("commands_server.0123456789abcdef", "", True),
        ("responses_server.0123456789abcdef", "", True),
        ("commands_server", "", True),
        ("events_server", "ari-proxy", False),
        ("responses_server", "ari-proxy", False),
        ("bindings_server", "ari-proxy", False),
        ("declared.commands_server.0123456789abcdef", "ari-proxy", False),
    ],
)
def test_topic_goes_where_listeners_look_for_it(topic: str, exchange: str, mandatory: bool) -> None:
    method, _ = published(topic)

    found = (method.exchange, method.routing_key, method.mandatory)
    assert found == (exchange, topic, mandatory)


def test_message_has_the_properties_of_the_original() -> None:
    _, head = published("demo")

    # The golden transcripts: content_type and delivery_mode, nothing else.
    assert head.properties.marshal() == b"\x90\x00\x10application/json\x01"


def test_reply_goes_to_its_queue_with_its_correlation_id() -> None:
    reply = topology.reply_topic("amq.gen-1", "c-1")

    method, head = published(reply)

    assert (method.exchange, method.routing_key, method.mandatory) == ("", "amq.gen-1", False)
    assert head.properties.correlation_id == "c-1"


def test_message_without_reply_to_has_no_reply_topic() -> None:
    assert topology.reply_topic("", "c-1") == ""


@pytest.mark.parametrize("topic", ["x" * 256, "ü" * 128], ids=["long", "long in bytes"])
def test_topic_that_rabbitmq_does_not_take_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        topology.encode(1, topic, b"", b"", 4096)


def test_limit_is_read_from_the_refusal() -> None:
    refusal = "406 PRECONDITION_FAILED - message size 30 is larger than configured max size 20"

    assert topology.limit_in(refusal) == 20
    assert topology.limit_in("404 NOT_FOUND - no queue 'x'") is None


@pytest.mark.parametrize("right", ["access", "write access"], ids=["RabbitMQ 3.10", "RabbitMQ 4"])
@pytest.mark.parametrize(
    ("what", "exchange"),
    [
        ("exchange 'amq.default'", ""),
        ("exchange 'ari-proxy'", "ari-proxy"),
        ("topic 'events_server' in exchange 'ari-proxy'", "ari-proxy"),
    ],
)
def test_exchange_that_may_not_be_written_is_read_from_the_refusal(
    right: str, what: str, exchange: str
) -> None:
    refusal = f"403 ACCESS_REFUSED - {right} to {what} in vhost '/' refused for user 'u'"

    assert topology.refused_exchange(f"RabbitMQ answers {refusal}") == exchange


@pytest.mark.parametrize(
    "refusal",
    [
        "403 ACCESS_REFUSED - access to queue 'x' in vhost '/' refused for user 'u'",
        "403 ACCESS_REFUSED - read access to queue 'x' in vhost '/' refused for user 'u'",
        "403 ACCESS_REFUSED - read access to exchange 'x' in vhost '/' refused for user 'u'",
        "403 ACCESS_REFUSED - queue 'x' in vhost '/' in exclusive use",
        "404 NOT_FOUND - no queue 'x' in vhost '/'",
    ],
)
def test_other_refusals_are_not_taken_for_one_to_publish(refusal: str) -> None:
    assert topology.refused_exchange(refusal) is None


def test_listeners_share_queues_evenly_and_differ_in_priority() -> None:
    listeners = ["a", "b", "c"]
    queues = [f"commands_server.{number:016}" for number in range(3000)]

    winners: Counter[str] = Counter()
    for queue in queues:
        priorities = {topology.priority(name, queue, first_comer=True): name for name in listeners}
        assert len(priorities) == len(listeners)
        winners[priorities[max(priorities)]] += 1

    assert all(850 < winners[name] < 1150 for name in listeners)


def test_late_comer_takes_over_from_nobody_and_fits_into_the_argument() -> None:
    early = [topology.priority(f"{n}", "queue", first_comer=True) for n in range(100)]
    late = [topology.priority(f"{n}", "queue", first_comer=False) for n in range(100)]

    assert max(late) < min(early)
    assert max(early) < 2**31


def test_record_comes_back() -> None:
    declared = DeclaredQueues(("events_s.x", "commands_s.x"), '{"channel_id":"c"}')

    assert topology.decode_record(topology.encode_record(declared)) == declared
    with pytest.raises(msgspec.DecodeError):
        topology.decode_record(b"[]")


def test_nodes_are_tried_with_what_their_urls_say() -> None:
    tls = ssl.create_default_context()
    options = RabbitMqOptions(
        urls=("amqp://one", "amqps://two:1234/voice%2F1"),
        name="n",
        user="u",
        password="hush",
        tls=tls,
    )

    one, two = options.logins()

    assert (one.host, one.port, one.virtual_host, one.tls) == ("one", 5672, "/", None)
    assert (two.host, two.port, two.virtual_host, two.tls) == ("two", 1234, "voice/1", tls)
    assert (one.user, one.password, one.name) == ("u", "hush", "n")
    assert "hush" not in repr(options) + repr(one)


def test_default_account_is_rabbitmqs() -> None:
    (login,) = RabbitMqOptions(urls=("amqp://one",), name="n").logins()

    assert (login.user, login.password) == ("guest", "guest")


@pytest.mark.parametrize(
    ("url", "user", "has_certificate", "by_certificate"),
    [
        ("amqps://one", "", True, True),
        ("amqps://one", "u", True, False),
        ("amqps://one", "", False, False),
        ("amqp://one", "", True, False),
    ],
    ids=["certificate alone", "account", "neither", "not secure"],
)
def test_certificate_is_the_account_where_no_user_is_set(
    url: str, user: str, has_certificate: bool, by_certificate: bool
) -> None:
    options = RabbitMqOptions(urls=(url,), name="n", user=user, has_certificate=has_certificate)

    (login,) = options.logins()

    assert login.by_certificate is by_certificate


def test_trace_is_told_in_a_header_and_the_reply_in_its_property() -> None:
    head = topology.properties_for("amq.gen-1", "00-ab", persistent=False)

    found = ContentHeader()
    found.unmarshal(bytes(12) + head)
    assert found.properties.reply_to == "amq.gen-1"
    assert found.properties.headers == {"traceparent": "00-ab"}
    assert topology.properties_for("", "", persistent=False) is topology.LEGACY_PROPERTIES


# What RabbitMQ refuses


@pytest.mark.parametrize(
    ("refusal", "exchange"),
    [
        (
            "403 ACCESS_REFUSED - access to exchange 'ari-proxy' in vhost '/' refused for user 'u'",
            "ari-proxy",
        ),
        (
            "403 ACCESS_REFUSED - access to topic 'x' in exchange 'ari-proxy' in vhost '/' refused",
            "ari-proxy",
        ),
        ("403 ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused", ""),
        ("403 ACCESS_REFUSED - access to queue 'demo' in vhost '/' refused for user 'u'", None),
    ],
)
def test_exchange_is_read_from_the_refusal(refusal: str, exchange: str | None) -> None:
    assert topology.refused_exchange(refusal) == exchange


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN", True),
        ("530 NOT_ALLOWED - access to vhost 'x' refused for user 'u'", True),
        ("320 CONNECTION_FORCED - broker forced connection closure", False),
    ],
)
def test_refused_login_is_known(reason: str, *, expected: bool) -> None:
    assert topology.is_login_refused(reason) is expected


def test_queue_in_exclusive_use_is_known() -> None:
    refusal = "403 ACCESS_REFUSED - queue 'demo' in vhost '/' in exclusive use"

    assert topology.is_taken_by_another(refusal)
    assert not topology.is_taken_by_another("404 NOT_FOUND - no queue 'demo' in vhost '/'")


# Queues and what is told of them


def test_queues_that_an_account_may_consume_alike_are_of_one_kind() -> None:
    assert topology.kind_of("events_server.0123456789abcdef") == "events"
    assert topology.kind_of("demo") == "demo"


@pytest.mark.parametrize(("seconds", "text"), [(None, None), (0.25, "250"), (60.0, "60000")])
def test_time_to_live_is_in_milliseconds(seconds: float | None, text: str | None) -> None:
    assert topology.expiration(seconds) == text


def test_group_has_a_queue_for_each_topic() -> None:
    queues = [topology.group_queue("executors", f"commands_{name}") for name in ("a", "b")]

    assert queues == ["ari-proxy.executors.commands_a", "ari-proxy.executors.commands_b"]


@pytest.mark.parametrize(
    "queue",
    [
        "demo",
        "commands_server.0123456789abcdef",
        "commands_b3eacd33-432e-89c2-a5c8-ff921dfda2a5",
    ],
)
def test_notice_tells_its_queue(queue: str) -> None:
    notices = [topology.declared_topic, topology.deleted_topic, topology.missing_topic]

    assert [topology.queue_of(notice(queue)) for notice in notices] == [queue] * 3


@pytest.mark.parametrize("form", get_args(ids.DialogForm))
def test_notices_of_a_servers_dialogs_match_its_pattern_and_no_others(
    form: ids.DialogForm,
) -> None:
    patterns = topology.notices_of("commands_server.*")
    own, other = (
        "commands_" + ids.new_dialog_id(ids.ServerId(name), form=form)
        for name in ("server", "another")
    )

    for notice in (topology.declared_topic, topology.deleted_topic):
        assert sum(matches(pattern, notice(own)) for pattern in patterns) == 1
        assert not any(matches(pattern, notice(other)) for pattern in patterns)
    assert matches(topology.ALL_MISSING, topology.missing_topic(own))


def matches(pattern: str, topic: str) -> bool:
    """Return whether RabbitMQ's topic exchange routes a topic to a binding with `*`."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^.]+"), topic) is not None


def test_list_of_queues_comes_back() -> None:
    names = ["commands_server.0123456789abcdef", "demo"]

    assert topology.decode_topics(topology.encode_topics(names)) == names
    assert matches(topology.ALL_LISTS, topology.list_topic("commands_server.*"))
    with pytest.raises(msgspec.DecodeError):
        topology.decode_topics(b"{}")
