"""Parameters in the query and in the body, as Asterisk reads them."""

import pytest

from ari_proxy.ari import urls
from ari_proxy.command.parameters import parameter


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "query"),
        ('{"app" broken', "query"),
        ('["app"]', "query"),
        ('{"b":1}', "query"),
        ('{"app":"body"}', "body"),
        (r'{"\u0061pp":"body"}', "body"),
        ('{"app":"first","app":"body"}', "body"),
        ('{"app":null}', ""),
        ('{"app":1}', ""),
        ('{"app":{}}', ""),
    ],
)
def test_parameter_of_the_body_stands_above_that_of_the_query(body: str, expected: str) -> None:
    assert parameter("app", urls.parse("/channels?app=query"), body) == expected
