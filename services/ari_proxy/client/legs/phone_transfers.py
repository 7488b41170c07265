"""Transfers that a phone asks for (SIP: REFER), and the application does."""

from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Self

from ari_proxy.client.ari.events import ChannelTransfer
from ari_proxy.client.asking import asked_of
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import Busy, CallEnded, NotAccepted, Rejected, RequestFailed
from ari_proxy.client.follower import Follower
from ari_proxy.client.party import Party

from .transfer_queue import TransferQueue

#: What a phone is told of a transfer: it goes on, or how it has ended (SIP: 100, 200, 503, 603).
Progress = Literal["progress", "answered", "unavailable", "declined"]

#: Whether Asterisk does a channel's transfers itself, or leaves them to applications.
_HANDLING: Final = "PJSIP_TRANSFER_HANDLING()"
_BY_APPLICATION: Final = "ari-only"
_BY_ASTERISK: Final = "core"


class PhoneTransfer:
    """A transfer that a phone has asked for.

    An `async with` block does it; at its end the phone is told how it went: after Busy, Rejected or
    NotAccepted that it was declined, after any other error that nobody was reached. What the block
    raises is raised. A phone that was told of success hangs up, as a rule.
    """

    def __init__(self, party: Party, asked: ChannelTransfer) -> None:
        """Initialise a transfer that is yet to be done.

        Args:
            party: whose phone has asked.
            asked: what it has said.
        """
        self._party = party
        self._is_told = False
        destination = asked.refer_to.requested_destination
        replaced, connected = (
            asked.refer_to.destination_channel,
            asked.referred_by.connected_channel,
        )
        #: SIP's Call-ID of the call in which it has talked to them; '' of a blind transfer.
        self.protocol_id = destination.protocol_id or ""
        #: Whom the phone wants to be called, like `200`; '' after it has talked to them.
        self.target = "" if self.protocol_id else destination.destination or ""
        #: The channel of that call; '' of a blind one, and if it is at another Asterisk.
        self.replaced_id = replaced.id if replaced else ""
        #: The channel that is to be transferred; '' if the phone is in no bridge of two.
        self.connected_id = connected.id if connected else ""

    def __repr__(self) -> str:
        return f"PhoneTransfer(target={self.target!r}, replaced_id={self.replaced_id!r})"

    async def report(self, progress: Progress) -> None:
        """Tell the phone; all but `progress` end the transfer, and the first one of them counts.

        Raises:
            CallEnded: the phone has hung up.
        """
        if self._is_told:
            return
        async with asked_of(self._party):
            await self._tell(progress)
        self._is_told = progress != "progress"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_told or self._party.is_over:
            return
        self._is_told = True
        await clean_up(self._tell(_outcome(error)), f"transfer by {self._party.channel_id}")

    async def _tell(self, progress: Progress) -> None:
        channels = self._party.ari.channels
        await channels.transfer_progress(self._party.channel_id, f"channel_{progress}")


def _outcome(error: BaseException | None) -> Progress:
    if error is None:
        return "answered"
    return "declined" if isinstance(error, Busy | Rejected | NotAccepted) else "unavailable"


class PhoneTransfers:
    """The transfers that the phone of a channel asks for during an `async with` block."""

    def __init__(self, party: Party) -> None:
        self._party = party
        #: The channel whose transfers Asterisk leaves to the application.
        self._handled = party.channel_id
        self._queue = TransferQueue(party.channel_id)
        self._follower = Follower(party, self._queue.take)

    async def __aenter__(self) -> Self:
        try:
            async with asked_of(self._party):
                await self._handle_by(_BY_APPLICATION)
        except BaseException:
            self._follower.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._follower.close()
        if not self._party.is_over:
            what = f"transfers of channel {self._party.channel_id}"
            await clean_up(self._handle_by(_BY_ASTERISK), what)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PhoneTransfer:
        while (asked := self._queue.next()) is None:
            try:
                await self._follower.news(None)
            except CallEnded:
                raise StopAsyncIteration from None
            await self._handle_replacement()
        return PhoneTransfer(self._party, asked)

    async def _handle_replacement(self) -> None:
        if self._party.is_over or self._handled == self._party.channel_id:
            return
        self._handled = self._party.channel_id
        # A half of a Local channel refuses it, and has no phone.
        with suppress(RequestFailed):
            await self._handle_by(_BY_APPLICATION)

    async def _handle_by(self, who: str) -> None:
        channels = self._party.ari.channels
        await channels.set_variable(self._party.channel_id, _HANDLING, value=who)


class ReferringChannel(Party):
    """A channel whose phone may ask for transfers."""

    def phone_transfers(self) -> PhoneTransfers:
        """Return the transfers that its phone asks for, for an `async with` block: an iterator.

        Outside of such a block Asterisk does them by itself. It ends with the channel. Only PJSIP
        has them, since Asterisk 20.13, 21.8 and 22.3; otherwise there are none.

        async with agent.phone_transfers() as asked:
            async for transfer in asked:
                async with transfer:
                    await room.add(await call.dial(f"PJSIP/{transfer.target}"))
        """
        return PhoneTransfers(self)
