"""The ways between the proxy and a real Asterisk: who connects, and what carries the commands."""

import os
from dataclasses import dataclass
from typing import Any, Final, Literal

import pytest

from ari_proxy.settings.load import Settings
from tests.support.outbound import DiallingAsterisk
from tests.support.running import settings_for
from tests.support.servers import Asterisk, BusServer

#: Where nobody listens: no request may go by HTTP.
NOWHERE: Final = "127.0.0.1:9/ari"


@dataclass(frozen=True)
class Way:
    """One of them."""

    #: The session fixture with the Asterisk.
    asterisk: Literal["asterisk_22", "asterisk_16", "dialling_asterisk"]
    transport: Literal["auto", "http", "websocket"]

    @property
    def is_outbound(self) -> bool:
        return self.asterisk == "dialling_asterisk"

    def settings(
        self, bus_server: BusServer, asterisk: Asterisk, application: str, **groups: Any
    ) -> Settings:
        """Return the proxy's settings."""
        command = {"transport": self.transport}
        if not isinstance(asterisk, DiallingAsterisk):
            return settings_for(
                bus_server,
                rest_url=asterisk.url,
                websocket_url=asterisk.websocket_url,
                application=application,
                command=command,
                **groups,
            )
        outbound = {"connection": "outbound", "listen": f"127.0.0.1:{asterisk.proxy_port}"}
        return settings_for(
            bus_server,
            rest_url=f"http://{NOWHERE}",
            websocket_url=f"ws://{NOWHERE}/events",
            application=application,
            ari=outbound,
            command=command,
            **groups,
        )


#: Those that every test of calls takes.
_USUAL: Final = {
    "asterisk22": Way("asterisk_22", "auto"),
    "asterisk16": Way("asterisk_16", "auto"),
}
#: Those that a test takes which is marked.
_MARKED: Final = {
    "asterisk22-http": Way("asterisk_22", "http"),
    "asterisk22-websocket": Way("asterisk_22", "websocket"),
    "asterisk22-outbound": Way("dialling_asterisk", "websocket"),
}
_OTHERS: Final = {"asterisk16-http": Way("asterisk_16", "http")}


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Have a test with a `way` take some of them; all with LONG=1.

    The mark `every_way` adds those in which something else carries events or commands; with
    `old=False` Asterisk 16 is none of them.
    """
    if "way" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("every_way")
    is_long = bool(os.environ.get("LONG"))
    ways = _USUAL | (_MARKED if mark or is_long else {}) | (_OTHERS if is_long else {})
    if mark and not mark.kwargs.get("old", True):
        ways = {name: way for name, way in ways.items() if way.asterisk != "asterisk_16"}
    metafunc.parametrize("way", [*ways.values()], ids=[*ways])
