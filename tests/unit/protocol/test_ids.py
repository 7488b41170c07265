import hashlib
import secrets
from typing import get_args
from uuid import RFC_4122, UUID

import pytest

from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import DialogForm, DialogId, ServerId

SERVER = ServerId("server-1")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty"),
        ("a.b", "dot"),
        ("a*", "wildcards"),
        (">", "wildcards"),
        ("a b", "white space"),
        ("a\tb", "white space"),
        ("a\x00", "control"),
        ("x" * 81, "longer"),
    ],
)
def test_what_is_no_subject_token_is_refused_with_its_reason(value: str, reason: str) -> None:
    with pytest.raises(IllegalSubjectTokenError, match=reason):
        ids.server_id(value)


@pytest.mark.parametrize("value", ["server-1", "y", "voicemail_2", "münchen"])
def test_ordinary_names_are_subject_tokens(value: str) -> None:
    assert ids.server_id(value) == value


@pytest.mark.parametrize("odd", [*"&#%+=?/\\:;,@\"'`$|<!~()[]{}^", "\u0301", "\U0001f600"])
def test_server_id_that_stands_for_something_else_elsewhere_is_refused(odd: str) -> None:
    """In a query, a queue's or an object's name; and what to write is told."""
    with pytest.raises(IllegalSubjectTokenError, match=r"letters, digits, - and _.*'pbx-1'"):
        ids.server_id(f"pbx{odd}{odd}1")


def test_server_id_needs_a_letter_or_digit() -> None:
    with pytest.raises(IllegalSubjectTokenError, match="letters, digits"):
        ids.server_id("&")


@pytest.fixture(params=get_args(DialogForm))
def form(request: pytest.FixtureRequest) -> DialogForm:
    found: DialogForm = request.param
    return found


def test_server_id_that_looks_like_a_dialogs_is_refused() -> None:
    assert ids.server_id("8d1f3a8e-2c5d-4e6f-9a0b-1c2d3e4f5a6b")
    with pytest.raises(IllegalSubjectTokenError, match="dialog"):
        ids.server_id("8d1f3a8e-2c5d-8e6f-9a0b-1c2d3e4f5a6b")


def test_dialog_id_is_a_uuid_where_it_shall_be_one() -> None:
    parsed = UUID(ids.new_dialog_id(SERVER, form="uuid"))

    assert (parsed.version, parsed.variant) == (8, RFC_4122)


def test_client_may_make_the_uuid_of_a_dialog_itself() -> None:
    """As docs/reference/wire.md says: 42 bits of the server's hash, the others by chance."""
    digest = int.from_bytes(hashlib.sha256(b"server-1").digest(), "big")
    bits = digest >> 256 - 42 << 128 - 42 | secrets.randbits(128 - 42)
    made = str(UUID(int=bits & ~(0xF << 76) & ~(3 << 62) | 8 << 76 | 2 << 62))

    assert ids.dialog_id(SERVER, made) == made
    assert ids.dialog_of_token(SERVER, ids.token_of_dialog(DialogId(made))) == made


def test_object_id_tells_its_dialog(form: DialogForm) -> None:
    dialog = ids.new_dialog_id(SERVER, form=form)
    token = ids.token_of_object(ids.new_object_id(ids.token_of_dialog(dialog)))

    assert token is not None
    assert token == ids.token_of_dialog(dialog)
    assert ids.dialog_of_token(SERVER, token) == dialog


def test_same_token_in_both_forms_is_two_dialogs() -> None:
    def random(length: int) -> str:
        return "y" * length

    one, other = (ids.new_dialog_id(SERVER, random, form=form) for form in get_args(DialogForm))

    assert ids.token_of_dialog(one) != ids.token_of_dialog(other)


def test_object_ids_have_one_length_and_differ() -> None:
    tokens = [ids.token_of_dialog(ids.new_dialog_id(SERVER, form=f)) for f in get_args(DialogForm)]
    made = {ids.new_object_id(token) for token in tokens for _ in range(1000)}

    assert len(made) == 2000
    assert {len(name) for name in made} == {32}


@pytest.mark.parametrize("name", ["1795460312.0", "arip-", "arip-x-y", "", "arip-" + "u" * 27])
def test_other_ids_tell_no_dialog(name: str) -> None:
    assert ids.token_of_object(name) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "server-1",
        "other.0123456789abcdef",
        "server-1.short",
        ids.new_dialog_id(ServerId("other"), form="uuid"),
        ids.new_dialog_id(SERVER, form="uuid").upper(),
        "8d1f3a8e-2c5d-4e6f-9a0b-1c2d3e4f5a6b",
    ],
    # Not the values, of which some are at random.
    ids=["empty", "server", "other's", "short", "other's uuid", "capitals", "another uuid"],
)
def test_dialog_of_another_server_or_form_is_refused(value: str) -> None:
    with pytest.raises(IllegalSubjectTokenError):
        ids.dialog_id(SERVER, value)


def test_dialog_may_be_chosen_in_either_form(form: DialogForm) -> None:
    made = ids.new_dialog_id(SERVER, form=form)

    assert ids.dialog_id(SERVER, made) == made
    assert ids.is_of_server(made, SERVER)
    assert not ids.is_of_server(made, ServerId("server-2"))


def test_topics_of_a_dialog_match_the_executors_wildcard(form: DialogForm) -> None:
    dialog = ids.new_dialog_id(SERVER, form=form)
    mine, others = (topics.commands_of_all_dialogs(ServerId(s)) for s in (SERVER, "server-2"))

    assert mine == "commands_server-1.*"
    assert topics.matches(mine, topics.commands(dialog))
    assert not topics.matches(mine, topics.events(dialog))
    assert not topics.matches(others, topics.commands(dialog))
    assert topics.owner_of(topics.commands(dialog)) == dialog


def test_topics_of_dialogs_are_told_from_those_of_servers(form: DialogForm) -> None:
    dialog = ids.new_dialog_id(SERVER, form=form)

    assert all(topics.is_of_dialog(topic) for topic in topics.of_dialog(dialog))
    assert all(topics.is_queue(topic) for topic in topics.of_dialog(dialog))
    assert not topics.is_of_dialog(topics.events(SERVER))
    assert not topics.is_queue(topics.events(SERVER))
    assert not topics.is_queue(topics.bindings(SERVER))
    assert topics.is_queue(topics.commands(SERVER))


@pytest.mark.parametrize("form", get_args(DialogForm))
def test_subject_of_a_dialog_on_nats_is_taken_by_its_executors(form: DialogForm) -> None:
    """Only one form is: `bus.dialog_ids` refuses the other one there."""
    subject = topics.commands(DialogId(ids.new_dialog_id(SERVER, form=form)))

    assert (len(subject.split(".")) == 2) is (form == "token")
