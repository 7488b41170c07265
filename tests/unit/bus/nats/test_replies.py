"""The inbox of a bus on NATS: what becomes of each message to it."""

import gc

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.nats.denials import violation_in
from ari_proxy.bus.nats.replies import Replies

NO_RESPONDERS = {"Status": "503"}
PUB_ACK = b'{"stream":"RECORDER","seq":7}'


def message(inbox: str, payload: bytes, headers: dict[str, str] | None = None) -> Msg:
    return Msg(Client(), inbox, data=payload, headers=headers)


async def test_first_message_to_an_inbox_is_the_reply() -> None:
    replies = Replies("_INBOX")
    with replies.awaiting() as reply:
        for payload in (b"first", b"second"):
            assert replies.receive(message(reply.inbox, payload)) == ""
        assert (await reply.message).data == b"first"

    replies.receive(message(reply.inbox, b"late"))
    assert len(replies) == 0


async def test_receipt_has_a_listener_unless_the_server_denies_it() -> None:
    replies = Replies("_INBOX")
    heard_inbox, heard = replies.receipt()
    unheard_inbox, unheard = replies.receipt()
    replies.receive(message(heard_inbox, b"reply"))
    replies.receive(message(unheard_inbox, b"", NO_RESPONDERS))

    assert (bool(heard), heard.reply, await heard.wait_reply()) == (True, b"reply", b"reply")
    assert (bool(unheard), unheard.reply) == (False, None)
    del heard, unheard
    gc.collect()
    assert len(replies) == 0


async def test_stream_that_has_recorded_a_message_is_no_listener() -> None:
    replies = Replies("_INBOX")
    inbox, receipt = replies.receipt()
    with replies.awaiting() as reply:
        for subject in (inbox, reply.inbox):
            assert replies.receive(message(subject, PUB_ACK)) == "RECORDER"
        assert not reply.message.done()

    assert receipt.reply is None


async def test_trace_events_are_no_replies() -> None:
    replies = Replies("_INBOX")
    with replies.tracing() as (inbox, trace):
        event = b'{"events":[{"type":"eg","kind":0}]}'
        assert replies.receive(message(inbox, event)) == ""

    assert (trace.is_complete, trace.has_listener) == (True, True)


async def test_lost_connection_fails_all_that_is_awaited() -> None:
    replies = Replies("_INBOX")
    with replies.awaiting() as first, replies.tracing() as (_, trace), replies.awaiting() as second:
        replies.lose()
        for awaited in (first.message, second.message, trace.wait()):
            with pytest.raises(BusUnavailableError):
                await awaited


async def test_refusal_fails_the_replies_to_messages_on_its_topic_only() -> None:
    replies = Replies("_INBOX")
    violation = violation_in('Permissions Violation for Publish to "Denied"')
    assert violation is not None
    with replies.awaiting("Denied") as denied, replies.awaiting("allowed") as allowed:
        assert replies.refuse(violation) == "Denied"
        with pytest.raises(BusRefusedError, match="may not publish to Denied"):
            await denied.message
        assert not allowed.message.done()

    assert replies.refuse(violation) == ""
