"""Asking a channel for digits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ari_proxy.client.ari.events import ChannelDtmfReceived
from ari_proxy.client.ari.model import Event
from ari_proxy.client.follower import Follower
from ari_proxy.client.party import Party

from .digits import DigitRules, PromptPhase, PromptTries
from .playback import Playback

#: Begins to play media that any digit interrupts.
Speak = Callable[[Sequence[str]], Awaitable[Playback]]
_SILENCE: Final[Sequence[str]] = ()


class Prompt:
    """One prompt, from its first try to its last."""

    def __init__(
        self,
        party: Party,
        speak: Speak,
        question: Sequence[str],
        refusal: Sequence[str],
        rules: DigitRules,
    ) -> None:
        """Initialise a prompt.

        Args:
            party: who is asked.
            speak: plays media.
            question: what is played in each try.
            refusal: what is played after wrong digits; may be empty.
            rules: the digits that are right, and the times.
        """
        self._party = party
        self._speak = speak
        self._media = {PromptPhase.ASKING: question, PromptPhase.REFUSING: refusal}
        self._loop = asyncio.get_running_loop()
        self._tries = PromptTries(rules, self._loop.time())

    async def digits(self) -> str | None:
        """Return the digits that were right, or None.

        Raises:
            CallEnded: the call has ended before.
            NotPlayed: Asterisk could not play what was to be played.
        """
        tries = self._tries
        with Follower(self._party, self._take) as follower:
            while tries.phase is not PromptPhase.OVER:
                if tries.phase is PromptPhase.LISTENING:
                    await self._listen(follower)
                else:
                    await self._play(tries.phase)
        return tries.result

    def _take(self, event: Event) -> None:
        if isinstance(event, ChannelDtmfReceived) and event.channel.id == self._party.channel_id:
            self._tries.press(event.digit, self._loop.time())

    async def _listen(self, follower: Follower) -> None:
        deadline = self._tries.deadline
        if not await follower.news(max(0.0, deadline - self._loop.time())):
            self._tries.expire(max(deadline, self._loop.time()))

    async def _play(self, phase: PromptPhase) -> None:
        """Play what belongs to a phase; a digit ends the phase, and with it what is played."""
        media = self._media.get(phase, _SILENCE)
        if media:
            await self._play_media(media)
        if self._tries.phase is phase:
            self._tries.finish_playing(self._loop.time())

    async def _play_media(self, media: Sequence[str]) -> None:
        limit = asyncio.timeout_at(self._tries.deadline)
        try:
            async with limit:
                playback = await self._speak(media)
                await playback.finished()
        except TimeoutError:
            if not limit.expired():
                raise
            self._tries.expire(self._loop.time())
