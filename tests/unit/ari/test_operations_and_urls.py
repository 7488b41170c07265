import json

import pytest

from ari_proxy.ari import operations, urls
from ari_proxy.ari.errors import IllegalUrlError
from tests.support.golden import DATA

API: dict[str, dict[str, list[str]]] = json.loads((DATA / "api-operations-22.json").read_text())


def test_templates_are_those_of_asterisk() -> None:
    ours = {path: set(methods.split()) for path, methods in operations.TEMPLATES.items()}

    assert ours == {path: set(methods) for path, methods in API.items()}


@pytest.mark.parametrize("template", API)
def test_path_finds_its_template(template: str) -> None:
    path = "/".join("1.2" if part.startswith("{") else part for part in template.split("/"))

    assert operations.template_of(path) == template


@pytest.mark.parametrize("path", ["/", "/nope", "/channels/1/2/3/4", ""])
def test_other_paths_are_other(path: str) -> None:
    assert operations.template_of(path) == "other"


def test_every_operation_that_takes_an_id_for_its_new_object_is_a_creation() -> None:
    new_ids = {"channelId", "bridgeId", "playbackId", "snoopId"}
    taking = {
        path
        for path, methods in API.items()
        for name in methods.get("POST", [])
        if name in new_ids and (f"{{{name}}}" not in path or path.endswith(f"{{{name}}}"))
    }

    # A claim names a channel that exists, and so does a video source.
    others = {"/events/claim", "/bridges/{bridgeId}/videoSource/{channelId}"}
    assert set(operations.CREATIONS) == taking - others


@pytest.mark.parametrize(
    "url",
    [
        "/channels",
        "/channels/ch-1/variable?variable=CHANNEL(state)",
        "/channels/a%2Fb;2/play?media=sound:x,tone:y&lang=en",
        "/endpoints/PJSIP/100@x",
    ],
)
def test_relative_paths_pass_unchanged(url: str) -> None:
    assert urls.parse(url).text == url


@pytest.mark.parametrize(
    "url",
    ["channels/1.2/answer", "channels?endpoint=PJSIP/x:5060", "deviceStates/Stasis:x", "a/b:c"],
)
def test_first_slash_may_be_missing(url: str) -> None:
    assert urls.parse(url) == urls.parse(f"/{url}")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "?app=demo",
        "http://elsewhere/ari",
        "http:/elsewhere",
        "http:elsewhere",
        "localhost:8088/ari/channels",
        "//elsewhere/x",
        "\\\\elsewhere\\x",
        " /channels",
        "./channels",
        "../channels",
        "/%2e%2e%00x/channels",
        "/channels/a%2F..%2Fb",
        "/channels/%ff",
        "/bridges?bridgeId=%C3",
        "/bridges/b/addChannel?channel=a,%ff",
        "/channels/a%0x",
        "/channels/a%0X41",
        "/channels?api%5Fkey=a:b",
        "/../x",
        "/channels/..",
        "/channels/%2e%2e/x",
        "/a\\b",
        "/a b",
        "/a\r\nHost: x",
        "/a#b",
        "/ä",
        "/a?b=c#d",
        "/channels?api_key=a:b",
        "/" + "x" * 4001,
    ],
)
def test_what_leads_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(IllegalUrlError):
        urls.parse(url)


def test_parameters_are_joined_to_a_query() -> None:
    plain = urls.parse("/bridges").with_parameter("bridgeId", "a b")
    with_query = urls.parse("/bridges?type=mixing").with_parameter("bridgeId", "x")

    assert (plain.text, with_query.text) == (
        "/bridges?bridgeId=a%20b",
        "/bridges?type=mixing&bridgeId=x",
    )
    assert with_query.parameter("type") == "mixing"
