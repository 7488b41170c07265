"""Ids of new objects: ari-proxy's, unless the client has chosen one."""

import pytest

from ari_proxy.ari import operations, urls
from ari_proxy.command.errors import RejectedError
from ari_proxy.command.naming import NamedRequest, NewObject, name_object
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId, Token

DIALOG = DialogId("asterisk.0123456789abcdef")
TOKEN = Token("arip-0123456789abcdef")


def named(method: str, url: str, body: str = "") -> NamedRequest:
    parsed = urls.parse(url)
    template = operations.template_of(parsed.path)
    return name_object(method, template, parsed, body, DIALOG, random=ids.random_id)


@pytest.mark.parametrize(
    ("url", "kind", "parameter"),
    [
        ("/channels?endpoint=x", "channel", "channelId"),
        ("/channels/create", "channel", "channelId"),
        ("/channels/externalMedia", "channel", "channelId"),
        ("/channels/c/snoop", "channel", "snoopId"),
        ("/channels/c/play?media=x", "playback", "playbackId"),
        ("/bridges/b/play", "playback", "playbackId"),
        ("/bridges", "bridge", "bridgeId"),
    ],
)
def test_new_object_gets_an_id_of_its_dialog(url: str, kind: str, parameter: str) -> None:
    result = named("POST", url, "{}")

    assert result.creates is not None
    assert (result.creates.kind, result.creates.needs_registration) == (kind, False)
    assert ids.token_of_object(result.creates.object_id) == TOKEN
    assert result.url.parameter(parameter) == result.creates.object_id


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/channels?channelId=mine", ""),
        ("/channels", '{"channelId":"mine"}'),
        ("/channels?channelId=other", '{"channelId":"mine"}'),
        ("/channels/mine", ""),
    ],
)
def test_id_of_the_client_stays_and_is_registered(url: str, body: str) -> None:
    result = named("POST", url, body)

    assert result.creates == NewObject("channel", "mine", needs_registration=True)
    assert result.url.text == url


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/channels"),
        ("POST", "/channels/c/answer"),
        ("POST", "/channels/%00"),  # For Asterisk an id that is empty.
    ],
)
def test_other_commands_stay_as_they_are(method: str, url: str) -> None:
    assert named(method, url) == NamedRequest(urls.parse(url), "")


NOTHING = ["null", '""', "5", "[]", '{"a":1}', "true"]


@pytest.mark.parametrize("value", NOTHING)
@pytest.mark.parametrize("key", ["channelId", r"\u0063hannelId"])
@pytest.mark.parametrize("url", ["/channels", "/channels?channelId=theirs"])
def test_field_that_names_nothing_gives_way_to_the_name_of_ari_proxy(
    url: str, key: str, value: str
) -> None:
    """Asterisk reads the body over the query, and would make an id of its own."""
    result = named("POST", url, f'{{"app":"demo","{key}":{value},"timeout":1.50}}')

    assert result.creates is not None
    assert ids.token_of_object(result.creates.object_id) == TOKEN
    assert result.url.parameter("channelId") == result.creates.object_id
    assert result.body == '{"app":"demo","timeout":1.50}'


def test_field_counts_however_its_name_is_written() -> None:
    result = named("POST", "/channels?channelId=other", r'{"\u0063hannelId":"mine"}')

    assert result.creates == NewObject("channel", "mine", needs_registration=True)


@pytest.mark.parametrize("value", NOTHING)
def test_field_does_not_matter_where_the_path_has_the_id(value: str) -> None:
    body = f'{{"channelId":{value}}}'
    result = named("POST", "/channels/mine", body)

    assert result == NamedRequest(
        urls.parse("/channels/mine"), body, NewObject("channel", "mine", needs_registration=True)
    )


def test_body_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(RejectedError, match="nested too deeply"):
        named("POST", "/channels", '{"channelId":' + "[" * 10_000 + "]" * 10_000 + "}")
