"""Commands that would crash Asterisk are refused, and no others."""

import pytest

from ari_proxy.ari import operations, urls
from ari_proxy.ari.fatal_parameters import LISTS, REQUIRED
from ari_proxy.command.errors import RejectedError
from ari_proxy.command.fatal import refuse_fatal
from generator.description import NEWEST, read


def check(method: str, url: str, body: str = "") -> None:
    parsed = urls.parse(url)
    refuse_fatal(method, operations.template_of(parsed.path), parsed, body)


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "/channels/c/move", ""),
        ("POST", "/channels/c/move?appArgs=a", "{}"),
        ("POST", "/channels/c/move?app=a", '{"app":null}'),
        ("POST", "/channels/c/move", '{"\\u0061pp":5}'),
        ("POST", "/channels/c%2Fd/move", '["app"]'),
        ("POST", "/bridges/b/record?name=x", '{"format":["wav"]}'),
        ("POST", "/bridges/b/variable", '{"value":"1"}'),
        ("GET", "/bridges/b/variables?variables=A", '{"variables":null}'),
        ("GET", "/channels/c/variables", '{"variables":[5]}'),
        ("GET", "/asterisk/info", '{"only":{}}'),
        ("POST", "/applications/a/subscription", '{"eventSource":["channel:1",null]}'),
        ("DELETE", "/applications/a/subscription", '{"eventSource":true}'),
        ("POST", "/events/user/e?application=a", '{"source":null}'),
    ],
)
def test_fatal_commands_are_refused(method: str, url: str, body: str) -> None:
    with pytest.raises(RejectedError, match="would crash Asterisk") as refused:
        check(method, url, body)

    assert (refused.value.status_code, refused.value.reason) == (400, "parameter")
    assert refused.value.sent is False


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", "/channels/c/move?app=a", ""),
        ("POST", "/channels/c/move?app=", ""),
        ("POST", "/channels/c/move", '{"app":"a"}'),
        ("POST", "/channels/c/record", ""),
        ("POST", "/bridges/b/record?name=x&format=wav", '{"name":"y"}'),
        ("GET", "/bridges/b/variable", ""),
        ("GET", "/channels/c/variables?variables=A", ""),
        ("GET", "/channels/c/variables", '{"variables":["A","B"]}'),
        ("GET", "/channels/c/variables", '{"variables":"A"}'),
        ("POST", "/channels/c/variables", '{"variables":{"A":null}}'),
        ("GET", "/asterisk/info", ""),
        ("POST", "/channels/c/play", '{"media":null}'),
    ],
)
def test_others_pass(method: str, url: str, body: str) -> None:
    check(method, url, body)


def test_the_tables_are_of_operations_that_exist() -> None:
    described = {
        (operation.method, operation.path): {p.name: p for p in operation.parameters}
        for _, operation in read(NEWEST).operations()
    }

    assert all(described[key][name].required for key, name in REQUIRED.items())
    assert all(described[key][name].multiple for key, name in LISTS.items())
