"""External media: the audio of a channel, in a program of yours."""

import asyncio
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from ari_proxy.client.ari.requests import VariableValue
from ari_proxy.client.asking import asked_of
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import InvalidParameters, NotConnected, RequestFailed
from ari_proxy.client.party import Party
from ari_proxy.protocol.ids import new_object_of

from .placed import BEGIN_SECONDS, READ_SECONDS, PlacedChannel
from .target import MediaTarget

#: Asterisk answers so if it can't reach a host, and if it does not know a format.
_FIRST_FAILURE: Final = 500


class ExternalMedia(PlacedChannel):
    """A channel whose audio goes to a program of yours, and comes from there.

    Its block begins once the other end is connected, and in a bridge with whomever it is for. At
    the end of the block it is hung up, and the other one is in no bridge.
    """

    def __init__(
        self,
        party: Party,
        target: MediaTarget,
        *,
        variables: Mapping[str, VariableValue] | None = None,
        is_bridged: bool = True,
        connect_seconds: float = BEGIN_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Initialise a channel that is requested when the block begins.

        Args:
            party: for whom.
            target: the other end.
            variables: names and values of variables of its channel.
            is_bridged: whether to put both into a bridge.
            connect_seconds: for the other end.
            read_seconds: without an event after which the channel is read.
        """
        super().__init__(party, read_seconds=read_seconds)
        self.target = target
        #: Variables of its channel: yours, and those in which Asterisk tells where the media are.
        self.variables: Mapping[str, str] = {}
        self._wanted = variables
        self._connect_seconds = connect_seconds
        self._is_bridged = is_bridged
        self._bridge_id = ""
        self._is_in_bridge = False

    def __repr__(self) -> str:
        return f"ExternalMedia({str(self.target)!r}, channel_id={self.channel_id!r})"

    @property
    def uuid(self) -> UUID:
        """By which the other end of an AudioSocket knows it."""
        return self.target.uuid

    @property
    def connection_id(self) -> str:
        """Of a websocket: INCOMING ones come to `/media/CONNECTION_ID` of Asterisk's HTTP server.

        Otherwise it is the connection's name.
        """
        return self.variables.get("MEDIA_WEBSOCKET_CONNECTION_ID", "")

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Where Asterisk gets RTP; None of other kinds."""
        host = self.variables.get("UNICASTRTP_LOCAL_ADDRESS")
        port = self.variables.get("UNICASTRTP_LOCAL_PORT", "")
        return (host, int(port)) if host and port.isdecimal() else None

    async def wait_connected(self) -> None:
        """Return once the other end is connected, and in the bridge.

        It is awaited already when the block begins, but for an INCOMING websocket.

        Raises:
            CallEnded: the one whom it is for has left before.
            NotConnected: the other end is away, or has gone.
        """
        if not await self._until_begun(self._connect_seconds):
            raise self._not_connected()
        if self._is_bridged and not self._is_in_bridge:
            await self._bridge()
            self._is_in_bridge = True

    async def _begin(self) -> None:
        with self._requesting():
            await self._request()
        if not self.target.is_incoming:
            await self.wait_connected()

    async def _request(self) -> None:
        try:
            channel = await self.ari.channels.external_media(
                self.application,
                channel_id=self.channel_id,
                variables=self._wanted,
                **self.target.request(),
            )
        except RequestFailed as refusal:
            if refusal.status >= _FIRST_FAILURE:
                reason = "the other end is away, or Asterisk does not have the format"
                raise NotConnected(f"{self.target}", reason) from refusal
            raise
        self.variables = channel.channelvars or {}

    async def _bridge(self) -> None:
        self._bridge_id = new_object_of(self.dialog_id)
        bridges = self.ari.bridges
        try:
            await bridges.create(type="mixing", bridge_id=self._bridge_id)
            async with asked_of(self._party, also=(InvalidParameters,)):
                await bridges.add_channel(
                    self._bridge_id, [self._party.channel_id, self.channel_id]
                )
        except RequestFailed as refusal:
            if self.is_over:
                raise self._not_connected() from refusal
            raise

    def _not_connected(self) -> NotConnected:
        if not self.is_over:
            reason = f"the other end is not there within {self._connect_seconds:g} s"
        elif self._life.has_begun:
            reason = "the other end has gone at once"
        else:
            reason = "the other end is away"
        return NotConnected(f"{self.target}", reason, cause=self._life.cause)

    async def _end(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super()._end())
            if self._bridge_id:
                destroyed = self.ari.bridges.destroy(self._bridge_id)
                tasks.create_task(clean_up(destroyed, f"bridge {self._bridge_id}"))
