"""What `bus/rabbitmq` uses of aiormq beyond its documented interface.

When a test here fails after an update of aiormq, look at what has become of the name in its
`channel.py` or `connection.py`, change `bus/rabbitmq/channel.py`, `connection.py` or `transport.py`
accordingly, then this file. Where aiormq offers the same by a documented name by now (a batch of
messages, consumers without a task each, a callback when blocked), use that instead.
"""

import inspect

import aiormq
import pytest

from ari_proxy.bus.rabbitmq.channel import AmqpChannel
from ari_proxy.bus.rabbitmq.connection import AmqpConnection

BLOCKED = "_Connection__handle_connection_blocked"
UNBLOCKED = "_Connection__handle_connection_unblocked"


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [
        (AmqpChannel, aiormq.Channel, "_on_close_frame"),
        (AmqpChannel, aiormq.Channel, "rpc"),
        (AmqpConnection, aiormq.Connection, BLOCKED),
        (AmqpConnection, aiormq.Connection, UNBLOCKED),
    ],
)
def test_method_is_there_to_be_overridden(ours: type, theirs: type, name: str) -> None:
    assert getattr(ours, name) is not getattr(theirs, name)
    assert inspect.iscoroutinefunction(getattr(theirs, name))
    assert list(inspect.signature(getattr(theirs, name)).parameters)[:2] == [
        "self",
        *_first(ours, name),
    ]


def _first(ours: type, name: str) -> list[str]:
    return list(inspect.signature(getattr(ours, name)).parameters)[1:2]


def test_channel_calls_what_is_overridden() -> None:
    assert inspect.getsource(aiormq.Channel._reader).count("self._on_close_frame(frame)") == 1
    for method in (aiormq.Channel.queue_declare, aiormq.Channel.basic_consume):
        assert "self.rpc(" in inspect.getsource(method)


def test_connection_calls_what_is_overridden() -> None:
    source = inspect.getsource(aiormq.Connection)

    assert source.count("self.__handle_connection_blocked(frame)") == 1
    assert source.count("self.__handle_connection_unblocked(frame)") == 1


def test_connection_reads_what_is_overridden() -> None:
    source = inspect.getsource(aiormq.Connection)

    assert "maxsize=self.FRAME_BUFFER_SIZE" in source
    assert "if self.is_connection_was_stuck:\n                self._reader_task.cancel()" in source


def test_end_of_the_reader_begins_one_task() -> None:
    """`AmqpConnection.drop` awaits it."""
    source = inspect.getsource(aiormq.Connection._on_reader_done)

    assert source.count("self.loop.create_task(") == 1
    assert "add_done_callback(self._on_reader_done)" in inspect.getsource(aiormq.Connection.connect)


def test_mechanism_is_a_name_and_a_response() -> None:
    source = inspect.getsource(aiormq.Connection.connect)

    assert "credentials = self._credentials_class(frame)" in source
    assert "mechanism=credentials.name" in source
    assert "response=credentials.value(self).marshal()" in source
