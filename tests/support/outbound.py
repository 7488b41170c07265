"""A real Asterisk that opens its websockets to us, with or without an HTTP server of its own."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support.servers import PASSWORD, Asterisk

_BOOTED = "core waitfullybooted"
_SECTION = """
[{name}]
type=outbound_websocket
websocket_client_id={name}
apps={applications}
local_ari_user=ari
"""
_CLIENT = """
[{name}]
type=websocket_client
connection_type=persistent
uri=ws://127.0.0.1:{port}/{path}
protocols=ari
username=ari
password={password}
connection_timeout=500
reconnect_interval=250
"""


class DiallingAsterisk(Asterisk):
    """Asterisk 22 with outbound websockets for events and for commands."""

    def __init__(
        self,
        directory: Path,
        port: int,
        *,
        server: str = "server-1",
        applications: Sequence[str] = (),
        events_port: int = 0,
        websockets: int = 4,
        has_http: bool = True,
        sip: bool = False,
    ) -> None:
        """Write its configuration.

        Args:
            directory: for files of the test.
            port: where it opens websockets.
            server: the server_id in their paths.
            applications: those of the websocket for events; none for no such websocket.
            events_port: where it opens that, if elsewhere.
            websockets: the number of those for commands.
            has_http: whether its own HTTP server is enabled.
            sip: whether it has a SIP peer.
        """
        super().__init__("22", sip=sip)
        self.proxy_port = port
        self._has_http = has_http
        sections: dict[str, tuple[str, ...]] = {
            f"ari-proxy-command-{n + 1}": ("commands",) for n in range(websockets)
        }
        if applications:
            sections["events"] = ("events", *applications)
        (directory / "ari.conf").write_text(
            "".join(
                _SECTION.format(name=name, applications=",".join(of[1:]) or name)
                for name, of in sections.items()
            )
        )
        (directory / "websocket_client.conf").write_text(
            "".join(
                _CLIENT.format(
                    name=name,
                    port=(events_port or port) if path == "events" else port,
                    path=f"{server}/{path}",
                    password=PASSWORD,
                )
                for name, (path, *_) in sections.items()
            )
        )
        files = ("ari.conf", "websocket_client.conf")
        self._extra = ["--extra", *(str(directory / name) for name in files)]
        if not has_http:
            self._extra += ["--conf", "sessionlimit=100\nenabled=no"]

    def _answers(self) -> bool:
        return super()._answers() if self._has_http else "fully booted" in self.console(_BOOTED)

    def console(self, command: str) -> str:
        """Return what Asterisk answers to a command of its console; '' before it runs."""
        shell = Path(self._directory, "cli")
        if not shell.exists():
            return ""
        done = subprocess.run(
            [str(shell), command], capture_output=True, text=True, timeout=10, check=False
        )
        return done.stdout
