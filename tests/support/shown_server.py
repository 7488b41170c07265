"""A server as the admin API sees it, with what a test says of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ari_proxy.admin.checks import Check
from ari_proxy.bus.base import Bus


def check(said: str = "") -> Check:
    """Return a check that says this."""

    async def checked() -> str:
        return said

    return checked


@dataclass(frozen=True)
class ShownDialogs:
    """The dialogs of one server (DialogView)."""

    shown: list[dict[str, Any]] = field(default_factory=list)
    count_open: Callable[[], int | None] = lambda: 0
    active: bool = True

    def is_active(self) -> bool:
        return self.active

    def dialogs(self) -> list[dict[str, Any]]:
        return self.shown

    def newest(self, find: str, limit: int) -> tuple[list[dict[str, Any]], int, int]:
        found = [dialog for dialog in self.shown if find in dialog["dialog_id"]]
        return found[-limit:], len(found), len(self.shown)


@dataclass(frozen=True)
class ShownServer:
    """One server of the process (ServerView)."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    view: ShownDialogs | None = None
    failure: str = ""
    bus: Bus | None = None
