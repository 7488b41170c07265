"""URLs of commands: relative paths pass unchanged, others are refused."""

import pytest

from ari_proxy.ari import urls
from ari_proxy.ari.errors import IllegalUrlError


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
