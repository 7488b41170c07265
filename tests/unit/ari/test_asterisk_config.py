"""What is written into Asterisk's configuration files."""

from configparser import ConfigParser
from dataclasses import replace

import pytest

from ari_proxy.ari.asterisk_config import (
    AsteriskConfig,
    HttpServer,
    ListenerAddress,
    as_text,
    files,
)
from ari_proxy.ari.errors import UnconfigurableError
from ari_proxy.ari.websocket_names import COMMAND_PREFIX, command_application

INBOUND = AsteriskConfig(
    version=(22, 10, 1),
    server_id="pbx",
    applications=("demo", "menu"),
    user="ari",
    http=HttpServer(url="http://pbx.example.com:8088/ari", clients=("10.0.0.0/24", "fd00::/64")),
)
LISTENER = ListenerAddress(
    events_url="wss://events.example.com:8089",
    commands_url="wss://commands.example.com:8089",
    websockets=2,
    wants_certificate=True,
)
OUTBOUND = replace(INBOUND, http=None, listener=LISTENER)


def sections(text: str) -> ConfigParser:
    """Read a file as Asterisk does, but for included files."""
    parser = ConfigParser(comment_prefixes=(";", "#"), strict=False, interpolation=None)
    parser.read_string(text)
    return parser


def test_outbound_websockets_of_both_files_belong_together() -> None:
    written = files(replace(OUTBOUND, subscribe_all=True))
    ari = sections(written["ari.conf"])
    clients = sections(written["websocket_client.conf"])

    names = [name for name in ari if ari[name].get("type") == "outbound_websocket"]
    assert names == ["ari-proxy-events", "ari-proxy-command-1", "ari-proxy-command-2"]
    assert names == clients.sections()
    assert [ari[name]["websocket_client_id"] for name in names] == names
    assert [ari[name]["apps"] for name in names] == ["demo,menu", *names[1:]]
    assert [ari[name]["subscribe_all"] for name in names] == ["yes", "no", "no"]
    assert {ari[name]["local_ari_user"] for name in names} == {"ari"}
    assert ari["ari"]["type"] == "user"
    assert [clients[name]["uri"] for name in names] == [
        "wss://events.example.com:8089/pbx/events",
        "wss://commands.example.com:8089/pbx/commands",
        "wss://commands.example.com:8089/pbx/commands",
    ]
    assert clients[names[0]]["cert_file"]
    assert sections(written["http.conf"])["general"]["enabled"] == "no"


@pytest.mark.parametrize("host", ["192.0.2.7", "[2001:db8::7]"])
def test_address_in_a_url_with_tls_gets_a_warning(host: str) -> None:
    listener = replace(LISTENER, events_url=f"wss://{host}:8089")

    clients = files(replace(OUTBOUND, listener=listener))["websocket_client.conf"]

    assert clients.count("better name a host") == 1  # The other URL has a name.


def test_applications_for_commands_are_known_as_such() -> None:
    assert command_application(1).startswith(COMMAND_PREFIX)


@pytest.mark.parametrize(
    ("version", "has_pings"),
    [
        ((20, 15, 0), False),
        ((22, 10, 1), False),
        ((22, 11, 0), True),
        ((23, 4, 1), False),
        ((23, 5, 0), True),
        ((24, 0, 0), True),
    ],
)
def test_options_are_those_of_the_version(
    version: tuple[int, int, int], *, has_pings: bool
) -> None:
    clients = files(replace(OUTBOUND, version=version))["websocket_client.conf"]

    assert ("enable_pingpongs = yes" in clients) is has_pings


@pytest.mark.parametrize(
    ("config", "version", "is_written"),
    [(OUTBOUND, (22, 9, 0), True), (OUTBOUND, (22, 10, 1), False), (INBOUND, (22, 9, 0), False)],
)
def test_dialogs_variable_is_configured_where_we_cannot_ask_for_it(
    config: AsteriskConfig, version: tuple[int, int, int], *, is_written: bool
) -> None:
    ari = sections(files(replace(config, version=version))["ari.conf"])

    assert (ari["general"].get("channelvars") == "ARI_PROXY_DIALOG") is is_written


def test_version_without_outbound_websockets_is_refused() -> None:
    with pytest.raises(UnconfigurableError, match=r"16\.28\.0 opens no websockets.*20\.15, 21\.10"):
        files(replace(OUTBOUND, version=(16, 28, 0)))


def test_ari_is_restricted_where_asterisk_can() -> None:
    newer = files(INBOUND)["http.conf"]
    older = files(replace(INBOUND, version=(22, 8, 2)))["http.conf"]

    assert "\n[/ari]\ntype = restriction\n" in newer
    assert "\npermit = 10.0.0.0/24\npermit = fd00::/64\n" in newer
    assert "[/ari]" not in older
    assert "firewall" in older


def test_restriction_waits_for_addresses_that_are_not_known() -> None:
    http = replace(INBOUND.http or HttpServer(url=""), clients=())
    text = files(replace(INBOUND, http=http))["http.conf"]

    assert "\n;[/ari]\n" in text
    assert sections(text).sections() == ["general"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8088/ari", {"bindaddr": "127.0.0.1", "bindport": "8088"}),
        ("http://[::1]/ari", {"bindaddr": "::1", "bindport": "80"}),
        ("http://[2001:db8::7]:8088/ari", {"bindaddr": "::"}),
        ("http://pbx:8088/one/ari", {"bindaddr": "0.0.0.0", "prefix": "one"}),
        ("https://pbx/ari", {"tlsenable": "yes", "tlsbindaddr": "0.0.0.0:443"}),
    ],
)
def test_http_server_listens_where_it_is_reached(url: str, expected: dict[str, str]) -> None:
    general = sections(files(replace(INBOUND, http=HttpServer(url=url)))["http.conf"])["general"]

    assert expected.items() <= dict(general).items()


def test_restriction_is_of_the_path_with_its_prefix() -> None:
    text = files(replace(INBOUND, http=HttpServer(url="http://127.0.0.1:8088/one/ari/")))[
        "http.conf"
    ]

    assert "\n[/one/ari]\n" in text


@pytest.mark.parametrize(("connections", "limit"), [(10, 100), (80, 100), (81, 200), (400, 500)])
def test_session_limit_leaves_some_to_others(connections: int, limit: int) -> None:
    http = HttpServer(url="http://pbx:8088/ari", connections=connections)

    assert f"sessionlimit = {limit}\n" in files(replace(INBOUND, http=http))["http.conf"]


def test_password_is_included_unless_it_is_given() -> None:
    included, given = files(OUTBOUND), files(replace(OUTBOUND, password="hu;sh"))

    for name, number in {"ari.conf": 1, "websocket_client.conf": 3}.items():
        assert included[name].count('\n#include "ari-proxy-password.conf"\n') == number
        assert given[name].count("\npassword = hu\\;sh\n") == number


@pytest.mark.parametrize("password", ["", " hush", "hush\n[other]", "hush "])
def test_password_that_no_file_can_hold_is_refused_unseen(password: str) -> None:
    with pytest.raises(UnconfigurableError) as caught:
        files(replace(OUTBOUND, password=password))

    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("user", ["a]", "a\n[b]", "a;b", ""])
def test_user_that_names_no_section_is_refused(user: str) -> None:
    with pytest.raises(UnconfigurableError, match=r"ari\.user"):
        files(replace(INBOUND, user=user))


def test_files_are_shown_with_their_names() -> None:
    assert as_text({"a.conf": "[a]\n", "b.conf": "[b]\n"}) == (
        "; ---- a.conf ----\n[a]\n\n; ---- b.conf ----\n[b]\n"
    )
