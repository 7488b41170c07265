"""Allow and deny rules, matched with a path as Asterisk reads it."""

import pytest

from ari_proxy.command.authorization.policy import CommandPolicy


@pytest.mark.parametrize(
    ("rule", "method", "path", "permitted"),
    [
        ("* /**", "DELETE", "/anything/at/all", True),
        ("POST /channels/{channelId}/play", "POST", "/channels/1.2/play", True),
        ("POST /channels/{channelId}/play", "GET", "/channels/1.2/play", False),
        ("POST /channels/{channelId}/play", "POST", "/channels/1.2/play/x", False),
        ("GET /asterisk/**", "GET", "/asterisk/modules/x", True),
        ("GET /asterisk/**", "GET", "/asterisk", True),
        ("GET /asterisk/**", "GET", "/asteriskx", False),
        ("* /channels/*", "DELETE", "/channels/a", True),
    ],
)
def test_rules(rule: str, method: str, path: str, *, permitted: bool) -> None:
    assert CommandPolicy((rule,), ()).permits(method, path) is permitted


@pytest.mark.parametrize(
    "path",
    [
        "/channels/1.2",
        "/chann%65ls/1.2",
        "/channels%00x/1.2",
        "/channels/a%2Fb",
        "/channels/1.2//x",
    ],
)
def test_path_is_matched_as_asterisk_reads_it(path: str) -> None:
    assert not CommandPolicy(("* /**",), ("DELETE /channels/{channelId}",)).permits("DELETE", path)


def test_denial_wins() -> None:
    policy = CommandPolicy(("* /**",), ("* /asterisk/modules/**",))

    assert not policy.permits("PUT", "/asterisk/modules/res_ari.so")
    assert policy.permits("GET", "/asterisk/info")
