"""The reason that the dialplan gets for a call without an application. Sans-I/O."""

from typing import Final

from ari_proxy.bus.base import Problem

#: The channel variable with the reason.
STATUS_VARIABLE: Final = "ARI_PROXY_STATUS"
NO_APPLICATION: Final = "NO_APPLICATION"
BUS_UNAVAILABLE: Final = "BUS_UNAVAILABLE"
BUS_REFUSED: Final = "BUS_REFUSED"
BUS_BLOCKED: Final = "BUS_BLOCKED"
_BY_PROBLEM: Final = {"away": BUS_UNAVAILABLE, "refused": BUS_REFUSED, "blocked": BUS_BLOCKED}


def dialplan_status(problem: Problem | None, *, is_refused: bool) -> str:
    """Return the reason why no application has accepted a dialog.

    Args:
        problem: of the bus as a whole, or None.
        is_refused: whether the bus has refused this dialog's queues or AppStart.
    """
    status = _BY_PROBLEM.get(problem.kind) if problem is not None else None
    return status or (BUS_REFUSED if is_refused else NO_APPLICATION)
