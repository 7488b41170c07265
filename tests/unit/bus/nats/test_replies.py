"""The inbox of a bus on NATS: what becomes of each message to it."""

import gc

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.nats.denials import violation_in
from ari_proxy.bus.nats.replies import Replies

NO_RESPONDERS = {"Status": "503"}
CLIENT = Client()
OTHER = Client()
PUB_ACK = b'{"stream":"RECORDER","seq":7}'


def message(inbox: str, payload: bytes, headers: dict[str, str] | None = None) -> Msg:
    return Msg(CLIENT, inbox, data=payload, headers=headers)


async def test_first_message_to_an_inbox_is_the_reply() -> None:
    replies = Replies("_INBOX")
    with replies.awaiting(CLIENT) as reply:
        for payload in (b"first", b"second"):
            assert replies.receive(CLIENT, message(reply.inbox, payload)) == ""
        assert (await reply.message).data == b"first"

    replies.receive(CLIENT, message(reply.inbox, b"late"))
    assert len(replies) == 0


async def test_receipt_has_a_listener_unless_the_server_denies_it() -> None:
    replies = Replies("_INBOX")
    heard_inbox, heard = replies.receipt()
    unheard_inbox, unheard = replies.receipt()
    replies.receive(CLIENT, message(heard_inbox, b"reply"))
    replies.receive(CLIENT, message(unheard_inbox, b"", NO_RESPONDERS))

    assert (bool(heard), heard.reply, await heard.wait_reply()) == (True, b"reply", b"reply")
    assert (bool(unheard), unheard.reply) == (False, None)
    del heard, unheard
    gc.collect()
    assert len(replies) == 0


async def test_stream_that_has_recorded_a_message_is_no_listener() -> None:
    replies = Replies("_INBOX")
    inbox, receipt = replies.receipt()
    with replies.awaiting(CLIENT) as reply:
        for subject in (inbox, reply.inbox):
            assert replies.receive(CLIENT, message(subject, PUB_ACK)) == "RECORDER"
        assert not reply.message.done()

    assert receipt.reply is None


async def test_trace_events_are_no_replies() -> None:
    replies = Replies("_INBOX")
    with replies.tracing(CLIENT) as (inbox, trace):
        event = b'{"events":[{"type":"eg","kind":0}]}'
        assert replies.receive(CLIENT, message(inbox, event)) == ""

    assert (trace.is_complete, trace.has_listener) == (True, True)


async def test_lost_connection_fails_all_that_is_awaited() -> None:
    replies = Replies("_INBOX")
    with (
        replies.awaiting(CLIENT) as first,
        replies.tracing(CLIENT) as (_, trace),
        replies.awaiting(CLIENT) as second,
    ):
        replies.lose(CLIENT)
        for awaited in (first.message, second.message, trace.wait()):
            with pytest.raises(BusUnavailableError):
                await awaited


async def test_refusal_fails_the_replies_to_messages_on_its_topic_only() -> None:
    replies = Replies("_INBOX")
    violation = violation_in('Permissions Violation for Publish to "Denied"')
    assert violation is not None
    with (
        replies.awaiting(CLIENT, "Denied") as denied,
        replies.awaiting(CLIENT, "allowed") as allowed,
    ):
        assert replies.refuse(CLIENT, violation) == "Denied"
        with pytest.raises(BusRefusedError, match="may not publish to Denied"):
            await denied.message
        assert not allowed.message.done()

    assert replies.refuse(CLIENT, violation) == ""


async def test_loss_of_a_connection_fails_only_what_was_sent_there() -> None:
    replies = Replies("_INBOX")
    awaiting, tracing = replies.awaiting, replies.tracing
    with awaiting(CLIENT) as lost, awaiting(OTHER) as kept, tracing(OTHER) as (_, trace):
        assert (replies.awaits(CLIENT), replies.awaits(OTHER)) == (True, True)
        replies.lose(CLIENT)
        with pytest.raises(BusUnavailableError):
            await lost.message
        assert not kept.message.done()
        assert not trace.is_complete


async def test_listener_replies_on_any_connection_and_the_server_on_its_own() -> None:
    replies = Replies("_INBOX")
    awaiting = replies.awaiting
    with awaiting(CLIENT) as of_server, awaiting(CLIENT, is_of_server=False) as of_listener:
        for reply in (of_server, of_listener):
            replies.receive(OTHER, message(reply.inbox, b"reply"))
        assert (of_server.message.done(), of_listener.message.done()) == (False, True)


async def test_reply_that_is_handed_over_outlives_its_connection() -> None:
    replies = Replies("_INBOX")
    awaiting = replies.awaiting
    with awaiting(CLIENT) as of_server, awaiting(CLIENT, is_of_server=False) as of_listener:
        replies.hand_over(CLIENT, OTHER)
        replies.lose(CLIENT)
        assert (of_server.message.done(), of_listener.message.done()) == (True, False)
        replies.lose(OTHER)
        assert of_listener.message.done()


async def test_refusal_on_one_connection_fails_nothing_on_another() -> None:
    replies = Replies("_INBOX")
    violation = violation_in('Permissions Violation for Publish to "Denied"')
    assert violation is not None
    with replies.awaiting(CLIENT, "Denied") as reply:
        assert replies.refuse(OTHER, violation) == ""
        replies.fail(OTHER, BusRefusedError("no inbox"))
        assert not reply.message.done()
