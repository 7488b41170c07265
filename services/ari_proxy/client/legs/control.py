"""What is done to a channel as a whole: answering, holding, hanging up, sending it elsewhere."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Literal

from ari_proxy.client.ari.requests import VariableValue
from ari_proxy.client.asking import asked_of
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import NotFound
from ari_proxy.client.party import Party

#: Why a channel is hung up, as the other side is told.
Reason = Literal[
    "normal",
    "busy",
    "congestion",
    "no_answer",
    "timeout",
    "rejected",
    "unallocated",
    "normal_unspecified",
    "number_incomplete",
    "codec_mismatch",
    "interworking",
    "failure",
    "answered_elsewhere",
]


class ControlledChannel(Party):
    """A channel that an application controls.

    Each method but `hang_up` raises CallEnded if the channel has left the application.
    """

    async def answer(self) -> None:
        """Answer it."""
        async with asked_of(self):
            await self.ari.channels.answer(self.channel_id)

    async def hang_up(self, reason: Reason = "normal") -> None:
        """Hang it up; one that has ended stays so.

        Args:
            reason: why, as the other side is told.
        """
        with suppress(NotFound):  # It has ended by itself.
            await self.ari.channels.hangup(self.channel_id, reason=reason)

    async def hold(self) -> None:
        """Tell its phone that it is held."""
        async with asked_of(self):
            await self.ari.channels.hold(self.channel_id)

    async def unhold(self) -> None:
        """Tell its phone that it is held no more."""
        async with asked_of(self):
            await self.ari.channels.unhold(self.channel_id)

    def music(self, music_class: str | None = None) -> AbstractAsyncContextManager[None]:
        """Play music on hold during a block.

        Args:
            music_class: of musiconhold.conf; the channel's by default.
        """
        return music(self, music_class)

    async def leave(
        self,
        context: str | None = None,
        extension: str | None = None,
        priority: int | None = None,
        *,
        label: str | None = None,
        variables: Mapping[str, VariableValue] | None = None,
    ) -> None:
        """Go on in the dialplan, which ends the call for the application.

        Args:
            context: where to; where it was by default.
            extension: where to.
            priority: where to.
            label: where to, in place of a priority.
            variables: names and values that are set before.
        """
        async with asked_of(self):
            for name, value in (variables or {}).items():
                text = value if isinstance(value, str) else value.value
                await self.ari.channels.set_variable(self.channel_id, name, value=text)
            await self.ari.channels.continue_in_dialplan(
                self.channel_id,
                context=context,
                extension=extension,
                priority=priority,
                label=label,
            )

    async def redirect(self, endpoint: str) -> None:
        """Have its phone or trunk call somebody else, as its technology does it (SIP: 302, REFER).

        Args:
            endpoint: whom, like `PJSIP/200`: of the channel's own technology.

        Raises:
            InvalidParameters: its technology can't do that, or the endpoint is of another one.
        """
        async with asked_of(self):
            await self.ari.channels.redirect(self.channel_id, endpoint)


@asynccontextmanager
async def music(party: Party, music_class: str | None) -> AsyncIterator[None]:
    """Play music on hold to a channel during a block."""
    channels, name = party.ari.channels, party.channel_id
    try:
        async with asked_of(party):
            await channels.start_moh(name, moh_class=music_class)
        yield
    finally:
        if not party.is_over:
            await clean_up(channels.stop_moh(name), f"music on hold of channel {name}")
