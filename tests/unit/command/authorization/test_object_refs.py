"""What a request touches."""

import json
from urllib.parse import quote, urlencode

import pytest

from ari_proxy.ari import operations, urls
from ari_proxy.command.authorization.object_refs import (
    concerns_all,
    new_recording,
    object_refs,
    other_spellings,
    sounds_elsewhere,
)


def names(method: str, url: str, body: str = "") -> list[tuple[str, str]]:
    parsed = urls.parse(url)
    found = object_refs(method, operations.template_of(parsed.path), parsed, body)
    return [(named.kind, named.name) for named in found]


@pytest.mark.parametrize(
    ("method", "url", "body", "expected"),
    [
        ("POST", "/channels/1.2/answer", "", [("channel", "1.2")]),
        ("DELETE", "/channels/a%2Fb", "", [("channel", "a/b")]),
        ("POST", "/channels/new", "", []),
        ("GET", "/channels/old", "", [("channel", "old")]),
        ("POST", "/channels?endpoint=x", "", []),
        ("POST", "/channels?endpoint=x&originator=1.2", "", [("channel", "1.2")]),
        ("POST", "/channels", json.dumps({"originator": "1.2"}), [("channel", "1.2")]),
        ("POST", "/channels/1.2/play/mine", "", [("channel", "1.2")]),
        ("DELETE", "/playbacks/p", "", [("playback", "p")]),
        ("POST", "/channels/1.2/snoop/mine", "", [("channel", "1.2")]),
        (
            "POST",
            "/bridges/b/addChannel?channel=1.2,1.3&channel=1.4",
            json.dumps({"channel": ["1.5", "1.6,1.7"]}),
            [
                ("bridge", "b"),
                *(("channel", f"1.{n}") for n in range(2, 6)),
                ("channel", "1.6,1.7"),
            ],
        ),
        ("DELETE", "/channels/+4930-a", "", [("channel", " 4930-a")]),
        ("DELETE", "/channels/a%00b", "", [("channel", "a")]),
        ("GET", "/recordings/st%6Fred/a+b//x", "", [("recording", "a b")]),
        ("DELETE", "/bridges%00x/b", "", [("bridge", "b")]),
        (
            "POST",
            "/bridges/b/addChannel?channel=%22a,b%22,c%5C,d,(e,f)",
            "",
            [("bridge", "b"), *(("channel", name) for name in ("a,b", "c,d", "(e,f)"))],
        ),
        ("POST", "/channels/1/dial?caller=a,b", "", [("channel", "1"), ("channel", "a,b")]),
        ("POST", "/bridges/b/addChannel?ch%61nnel=1.2", "", [("bridge", "b"), ("channel", "1.2")]),
        ("POST", "/bridges/b/removeChannel", "{broken", [("bridge", "b")]),
        ("POST", "/bridges/b/videoSource/1.2", "", [("bridge", "b"), ("channel", "1.2")]),
        ("POST", "/channels/1.2/dial?caller=1.3", "", [("channel", "1.2"), ("channel", "1.3")]),
        (
            "POST",
            "/events/user/x?application=a&source=channel:1.2,bridge:b,endpoint:PJSIP/c",
            "",
            [("channel", "1.2"), ("bridge", "b")],
        ),
        (
            "POST",
            "/channels/1.2/play?media=sound:a,recording:r",
            json.dumps({"media": "recording:s"}),
            [("channel", "1.2"), ("recording", "r"), ("recording", "s")],
        ),
        ("GET", "/recordings/stored/r/file", "", [("recording", "r")]),
        ("POST", "/bridges/b/record?name=r", "", [("bridge", "b")]),
        ("POST", "/bridges/b/record?name=r&ifExists=fail", "", [("bridge", "b")]),
        (
            "POST",
            "/bridges/b/record?name=r&ifExists=append",
            "",
            [("bridge", "b"), ("recording", "r")],
        ),
        (
            "POST",
            "/bridges/b/record?name=r&ifExists=fail",
            '{"name":"s","ifExists":"overwrite"}',
            [("bridge", "b"), ("recording", "s")],
        ),
        ("POST", "/recordings/live/r/stop", "", [("recording", "r")]),
        ("GET", "/endpoints/PJSIP/x", "", []),
        ("GET", "/asterisk/info", "", []),
        ("POST", "/channels/1.2/unheard-of/of", "", []),
    ],
)
def test_request_touches_what_it_names(
    method: str, url: str, body: str, expected: list[tuple[str, str]]
) -> None:
    assert names(method, url, body) == expected


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("GET", "/channels", True),
        ("POST", "/channels", False),
        ("GET", "/bridges", True),
        ("GET", "/recordings/stored", True),
        ("POST", "/applications/a/subscription", True),
        ("PUT", "/applications/a/eventFilter", True),
        ("GET", "/channels/1.2", False),
        ("POST", "/channels/1.2/unheard-of", True),
        ("GET", "/sounds", False),
        ("GET", "/chann%65ls//x", True),
    ],
)
def test_some_operations_concern_the_objects_of_all(method: str, url: str, expected: bool) -> None:
    assert concerns_all(method, operations.template_of(url)) is expected


@pytest.mark.parametrize(
    ("method", "url", "body", "expected"),
    [
        ("POST", "/channels/1.2/record?name=a&format=wav", "", "a"),
        ("POST", "/bridges/b/record?name=a", '{"name":"b"}', "b"),
        ("GET", "/channels/1.2/record?name=a", "", ""),
        ("POST", "/channels/1.2/play?name=a", "", ""),
    ],
)
def test_new_recording_is_known_by_its_name(
    method: str, url: str, body: str, expected: str
) -> None:
    parsed = urls.parse(url)
    template = operations.template_of(parsed.path)

    assert new_recording(method, template, parsed, body) == expected


#: What leads to the file of the recording `r` or `d/r`, or to none.
SPELLINGS = ("./r", "r/.", "d//r", "/r", "r/", "d/./r", "d/../r", "../r", ".", "..", "/")


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize(
    ("path", "parameter", "prefix"),
    [
        ("/recordings/stored/r/copy", "destinationRecordingName", ""),
        ("/channels/c/record", "name", ""),
        ("/bridges/b/record", "name", ""),
        ("/channels/c/play", "media", "recording:"),
    ],
)
def test_other_spelling_of_a_recording_is_known(
    path: str, parameter: str, prefix: str, name: str
) -> None:
    query = urls.parse(f"{path}?{urlencode({parameter: prefix + name})}")
    overridden = urls.parse(f"{path}?{urlencode({parameter: prefix + 'r'})}")
    body = json.dumps({parameter: prefix + name})
    template = operations.template_of(path)

    assert other_spellings("POST", template, query, "") == [name]
    assert other_spellings("POST", template, overridden, body) == [name]


@pytest.mark.parametrize("name", ["d//r", "/r", "r/", "/"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/recordings/stored/{}"),
        ("GET", "/recordings/stored/{}/file"),
        ("DELETE", "/recordings/stored/{}"),
        ("POST", "/recordings/live/{}/stop"),
    ],
)
def test_other_spelling_of_a_recording_in_a_path_is_known(
    method: str, path: str, name: str
) -> None:
    """One with a dot leads out of ARI's root, and is refused before."""
    url = urls.parse(path.format(quote(name, safe="")))

    assert other_spellings(method, operations.template_of(url.path), url, "") == [name]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/recordings/stored/d%2Fr.1..wav"),
        ("POST", "/channels/c/record?name=.hidden/r"),
        ("POST", "/channels/c/play?media=recording:d/r,sound:./hello"),
        ("POST", "/bridges?name=../x"),
        ("GET", "/channels/a%2F%2Fb"),
    ],
)
def test_plain_name_is_no_other_spelling(method: str, url: str) -> None:
    parsed = urls.parse(url)

    assert other_spellings(method, operations.template_of(parsed.path), parsed, "") == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/channels/c/play?media=sound:./hello,sound:digits//1,tone:../x", []),
        ("/channels/c/play?media=sound:http://example.org/a/../b", []),
        ("/channels/c/play?media=sound:a,sound:/var/spool/x", ["sound:/var/spool/x"]),
        ("/bridges/b/play/p?media=sound:../x", ["sound:../x"]),
        ("/bridges/b/play?media=sound:../a://../x", ["sound:../a://../x"]),
        ("/channels/c/record?media=sound:../x", []),
    ],
)
def test_sound_from_elsewhere_is_known(url: str, expected: list[str]) -> None:
    parsed = urls.parse(url)

    assert sounds_elsewhere(operations.template_of(parsed.path), parsed, "") == expected
