"""The soak's account: which commands may have died with an executor."""

import pytest

from tests.chaos.soak import BEGUN_SECONDS, Command, Kill

KILL = Kill(begun=100.0, noticed=101.0)


@pytest.mark.parametrize(
    ("sent_at", "lost"),
    [
        pytest.param(100 - BEGUN_SECONDS - 0.1, False, id="long before, so it was answered"),
        pytest.param(99.9, True, id="it was being executed"),
        pytest.param(100.3, True, id="NATS gave it to the killed one"),
        pytest.param(101.1, False, id="NATS knew of the end"),
    ],
)
def test_command_may_die_with_an_executor_until_nats_has_heard_of_its_end(
    sent_at: float, lost: bool
) -> None:
    command = Command("7", "server-1.dialog", sent_at)
    assert KILL.may_have_lost(command) is lost
