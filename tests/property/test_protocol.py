"""Whatever text travels, it arrives; whatever is no message is refused and nothing else happens."""

import contextlib
import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.ari import urls
from ari_proxy.ari.errors import IllegalUrlError
from ari_proxy.protocol import ids, messages, topics
from ari_proxy.protocol.errors import IllegalSubjectTokenError, MalformedMessageError
from ari_proxy.protocol.ids import DialogForm, ServerId
from ari_proxy.protocol.messages import Command, EventEncoder

#: Without lone surrogates, which no UTF-8 has.
text = st.text(st.characters(codec="utf-8"))


@given(text, text)
def test_event_carries_any_frame_unchanged(frame: str, event_type: str) -> None:
    encoded = EventEncoder(ServerId("s")).encode(frame, event_type, "now", "s.d", 7)

    decoded = json.loads(encoded)
    assert list(decoded) == [
        "server_id",
        "timestamp",
        "type",
        "ari_body",
        "dialog_id",
        "sequence",
    ]
    assert (decoded["ari_body"], decoded["type"]) == (frame, event_type)
    assert not set("<>&\u2028\u2029") & set(encoded.decode())


@given(st.lists(st.builds(Command, text, text, text, text)))
def test_commands_come_back_as_they_were(commands: list[Command]) -> None:
    assert messages.decode_commands(messages.encode_all(commands)) == commands
    for command in commands:
        assert messages.decode_commands(messages.encode(command)) == [command]


@given(st.binary())
def test_what_is_no_command_is_refused(payload: bytes) -> None:
    with contextlib.suppress(MalformedMessageError):
        assert all(isinstance(c, Command) for c in messages.decode_commands(payload))


@given(text)
def test_subject_token_is_one_token_or_refused(value: str) -> None:
    try:
        ids.check_subject_token("server_id", value)
    except IllegalSubjectTokenError:
        return
    subject = f"commands_{value}.x"
    assert len(subject.split(".")) == 2
    assert subject.split() == [subject]
    assert not set("*>\r\n\0") & set(subject)


@given(text, st.sampled_from(get_args(DialogForm)))
def test_dialog_id_tells_server_and_token(value: str, form: DialogForm) -> None:
    try:
        server = ids.server_id(value)
    except IllegalSubjectTokenError:
        return
    dialog = ids.new_dialog_id(server, form=form)
    assert ids.dialog_id(server, dialog) == dialog
    assert ids.dialog_of_token(server, ids.token_of_dialog(dialog)) == dialog
    assert topics.is_of_dialog(topics.commands(dialog))
    assert topics.matches(topics.commands_of_all_dialogs(server), topics.commands(dialog))


@given(st.from_regex(r"/[!-~]{0,60}", fullmatch=True))
def test_url_stays_below_the_root_or_is_refused(url: str) -> None:
    try:
        parsed = urls.parse(url)
    except IllegalUrlError:
        return
    assert parsed.text in {url, url.removesuffix("?")}
    assert ".." not in parsed.path.split("/")
    assert parsed.with_parameter("id", "a&b").parameter("id") == "a&b"


@pytest.mark.parametrize("depth", [10_000, 1_000_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(MalformedMessageError):
        messages.decode_commands(b'{"x":' + b"[" * depth)


@given(st.from_type(type(None)) | st.booleans() | st.integers() | st.floats() | text)
def test_command_of_another_shape_is_refused(value: object) -> None:
    with pytest.raises(MalformedMessageError):
        messages.decode_commands(msgspec.json.encode(value))
