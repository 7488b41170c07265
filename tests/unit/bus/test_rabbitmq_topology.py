import ssl
from collections import Counter

import msgspec
import pytest
from pamqp import frame
from pamqp.commands import Basic

from ari_proxy.bus import rabbitmq_topology as topology
from ari_proxy.bus.amqp.frames import FrameSplitter, parse_header
from ari_proxy.bus.base import Declared
from ari_proxy.bus.rabbitmq_options import RabbitMqOptions


def published(topic: str, payload: bytes = b"{}", reply: str = "") -> tuple[Basic.Publish, bytes]:
    """Return the method and the header of an encoded message."""
    data = topology.encode(1, topic, payload, topology.properties_for(reply, ""), 4096)
    size, _, method = frame.unmarshal(data)
    assert isinstance(method, Basic.Publish)
    (head, *_) = FrameSplitter().feed(data[size:])
    return method, head.payload


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
    assert head[12:] == b"\x90\x00\x10application/json\x01"


def test_reply_goes_to_its_queue_with_its_correlation_id() -> None:
    reply = topology.reply_topic("amq.gen-1", "c-1")

    method, head = published(reply)

    assert (method.exchange, method.routing_key, method.mandatory) == ("", "amq.gen-1", False)
    assert parse_header(head)[1].correlation_id == "c-1"


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
    declared = Declared(("events_s.x", "commands_s.x"), '{"channel_id":"c"}')

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
