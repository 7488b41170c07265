"""When a request is repeated; tests/integration/test_rest.py has sockets that misbehave."""

import pytest

from ari_proxy.ari.credentials import Credentials
from ari_proxy.ari.errors import UnreachableError
from tests.support.scripted_asterisk import CREDENTIALS, asterisk_without_network


class Renewed:
    """Credentials of which there are always newer ones."""

    def __init__(self) -> None:
        self.refusals: list[str] = []

    def current(self) -> Credentials:
        return CREDENTIALS

    def refused(self, credentials: Credentials) -> bool:
        self.refusals.append(credentials.user)
        return True


@pytest.mark.parametrize(("method", "times"), [("GET", 2), ("POST", 1), ("PUT", 1), ("DELETE", 1)])
async def test_only_a_get_is_repeated_when_the_connection_breaks(method: str, times: int) -> None:
    async with asterisk_without_network() as (asterisk, rest):
        asterisk.broken.add("/channels/c")
        with pytest.raises(UnreachableError) as raised:
            await rest.request(method, "/channels/c")

    assert raised.value.sent
    assert len(asterisk.requests) == times
    assert rest.in_flight == 0


async def test_refused_credentials_are_an_answer_where_there_are_no_newer_ones() -> None:
    async with asterisk_without_network() as (asterisk, rest):
        asterisk.answer("GET", "/channels/c", 401)
        answer = await rest.request("GET", "/channels/c")

    assert answer.status == 401
    assert len(asterisk.requests) == 1


@pytest.mark.parametrize(("statuses", "last"), [([401, 200], 200), ([401, 401, 200], 401)])
async def test_request_is_repeated_once_with_newer_credentials(
    statuses: list[int], last: int
) -> None:
    source = Renewed()

    async with asterisk_without_network(source) as (asterisk, rest):
        for status in statuses:
            asterisk.answer("POST", "/channels", status)
        answer = await rest.request("POST", "/channels")

    assert answer.status == last
    assert len(asterisk.requests) == 2
    assert source.refusals == ["ari"]
