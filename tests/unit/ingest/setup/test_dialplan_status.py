"""What the dialplan is told."""

import pytest

from ari_proxy.bus.base import Problem
from ari_proxy.ingest.setup.dialplan_status import dialplan_status


@pytest.mark.parametrize(
    ("problem", "is_refused", "status"),
    [
        (None, False, "NO_APPLICATION"),
        (None, True, "BUS_REFUSED"),
        (Problem("away", ""), True, "BUS_UNAVAILABLE"),
        (Problem("refused", ""), False, "BUS_REFUSED"),
        (Problem("blocked", ""), False, "BUS_BLOCKED"),
        # Something else does not come; applications could be asked.
        (Problem("deaf", ""), False, "NO_APPLICATION"),
        (Problem("deaf", ""), True, "BUS_REFUSED"),
    ],
)
def test_status_is_the_reason(problem: Problem | None, is_refused: bool, status: str) -> None:
    assert dialplan_status(problem, is_refused=is_refused) == status
