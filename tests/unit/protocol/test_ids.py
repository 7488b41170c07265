import pytest

from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import DialogId, ServerId

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


def test_object_id_tells_its_dialog() -> None:
    dialog = ids.new_dialog_id(SERVER)
    token = ids.token_of_dialog(dialog)

    assert ids.token_of_object(ids.new_object_id(token)) == token


def test_object_ids_have_one_length_and_differ() -> None:
    token = ids.token_of_dialog(ids.new_dialog_id(SERVER))
    made = {ids.new_object_id(token) for _ in range(1000)}

    assert len(made) == 1000
    assert {len(name) for name in made} == {32}


@pytest.mark.parametrize("name", ["1795460312.0", "arip-", "arip-x-y", "", "arip-" + "u" * 27])
def test_other_ids_tell_no_dialog(name: str) -> None:
    assert ids.token_of_object(name) is None


@pytest.mark.parametrize("value", ["", "server-1", "other.0123456789abcdef", "server-1.short"])
def test_dialog_of_another_server_or_form_is_refused(value: str) -> None:
    with pytest.raises(IllegalSubjectTokenError):
        ids.dialog_id(SERVER, value)


def test_topics_of_a_dialog_match_the_executors_wildcard() -> None:
    dialog = DialogId("server-1.0123456789abcdef")

    assert topics.commands(dialog) == "commands_server-1.0123456789abcdef"
    assert topics.commands_of_all_dialogs(SERVER) == "commands_server-1.*"
    assert topics.owner_of(topics.commands(dialog)) == dialog
