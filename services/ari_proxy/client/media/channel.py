"""Playing to a channel, asking it for digits, and recording it."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial

from ari_proxy.client.asking import NOT_BEGUN, asked_of
from ari_proxy.client.party import Party
from ari_proxy.protocol.ids import new_object_of

from . import digits as rules
from . import speech
from .digits import DigitRules
from .playback import START_SECONDS, Playback
from .playback_progress import Interruption
from .prompting import Prompt
from .recording import EndKey, IfExists, Recording, RecordingOptions


class MediaChannel(Party):
    """A channel that hears and is heard.

    Each method raises CallEnded at once when the channel leaves the application, and RequestFailed
    if Asterisk refuses a request. One that is cancelled ends what it has begun.
    """

    #: The playback that was requested last: the next one is played after it.
    _last_playback: Playback | None = None

    async def play(
        self,
        media: str | Sequence[str],
        *,
        repeat: int | None = 1,
        until: str = "",
        language: str | None = None,
        start_seconds: float = START_SECONDS,
    ) -> Playback:
        """Play to the end.

        Args:
            media: what to play, like `sound:hello-world`, `recording:…`, `tone:ring`; several are
                played one after another.
            repeat: how many times; None for ever.
            until: digits that end it, like `#` or `123`, or `any`; `digit` of the result is the one
                that has.
            language: of the sounds, like `de`; the channel's by default.
            start_seconds: in which it begins, behind what is played already.

        Raises:
            NotPlayed: Asterisk can't play it, or has not begun to.
        """
        if repeat is not None and repeat < 1:
            raise ValueError(f"repeat is {repeat}, less than 1")
        interruption = Interruption(self.channel_id, until)
        rounds = 0
        with self.following(interruption.take):
            while True:
                playback = await self._start(media, interruption, language, start_seconds)
                await playback.finished()
                rounds += 1
                if interruption.digit or rounds == repeat:
                    return playback

    async def start_playing(
        self,
        media: str | Sequence[str],
        *,
        until: str = "",
        language: str | None = None,
        start_seconds: float = START_SECONDS,
    ) -> Playback:
        """Begin to play, behind what is played already; await the result for its end.

        Args:
            media: as of `play`.
            until: as of `play`; it ends while the result is awaited.
            language: as of `play`.
            start_seconds: as of `play`.
        """
        interruption = Interruption(self.channel_id, until)
        return await self._start(media, interruption, language, start_seconds)

    async def say(
        self, what: int | str | date, *, until: str = "", language: str | None = None
    ) -> Playback:
        """Say something to the end.

        Args:
            what: a number is said as such, a text of digits digit by digit, another text letter by
                letter, and a date in English.
            until: as of `play`.
            language: as of `play`.

        Raises:
            NotPlayed: Asterisk can't say it in this language.
        """
        return await self.play(speech.spoken(what), until=until, language=language)

    async def prompt(
        self,
        media: str | Sequence[str],
        *,
        digits: int | None = None,
        end: str = "#",
        choices: Sequence[str] = (),
        match: Callable[[str], bool] | None = None,
        invalid: str | Sequence[str] = (),
        tries: int = rules.TRIES,
        first_digit: float = rules.FIRST_DIGIT_SECONDS,
        inter_digit: float = rules.INTER_DIGIT_SECONDS,
        overall: float = rules.OVERALL_SECONDS,
        language: str | None = None,
    ) -> str | None:
        """Ask for digits and return those that were right; None if none were.

        Digits count while the question is played, too, and end it. A digit that is lost in a gap of
        the events is asked for again.

        Args:
            media: the question, as of `play`.
            digits: how many; fewer are right only in front of `end`. None for any number.
            end: digits that end the input, and do not belong to it.
            choices: the inputs that are right, like `123` or `("1", "42")`; any by default.
            match: decides whether an input is right that is so otherwise.
            invalid: what is played after wrong digits, before the next try.
            tries: how many times to ask.
            first_digit: seconds for the first digit, from the end of the question on.
            inter_digit: seconds between digits.
            overall: seconds for all tries.
            language: as of `play`.

        Raises:
            NotPlayed: Asterisk can't play what is to be played.
        """
        right = DigitRules(
            digits=digits,
            end=end,
            choices=tuple(choices),
            match=match,
            tries=tries,
            first_digit=first_digit,
            inter_digit=inter_digit,
            overall=overall,
            refuses=bool(invalid),
        )
        speak = partial(self.start_playing, until="any", language=language)
        return await Prompt(self, speak, speech.media(media), speech.media(invalid), right).digits()

    async def record(
        self,
        name: str,
        *,
        format: str = "wav",
        beep: bool = False,
        end: EndKey = "#",
        max_silence: int = 0,
        max_seconds: int = 0,
        if_exists: IfExists = "fail",
    ) -> Recording:
        """Record to the end, which is also the end of the call.

        Args:
            name: of the recording, without the ending of its file; may have slashes. In lists
                Asterisk takes what follows a dot for the ending.
            format: like `wav` or `gsm`.
            beep: whether a tone is played before.
            end: the digit that ends it; `any` for each, '' for none.
            max_silence: seconds of silence that end it; 0 for no limit.
            max_seconds: seconds after which it ends; 0 for no limit.
            if_exists: what happens to one of this name that is in store.

        Raises:
            Conflict: there is one of this name.
            NotRecorded: it has failed.
        """
        recording = await self.start_recording(
            name,
            format=format,
            beep=beep,
            end=end,
            max_silence=max_silence,
            max_seconds=max_seconds,
            if_exists=if_exists,
        )
        return await recording.finished()

    async def start_recording(
        self,
        name: str,
        *,
        format: str = "wav",
        beep: bool = False,
        end: EndKey = "#",
        max_silence: int = 0,
        max_seconds: int = 0,
        if_exists: IfExists = "fail",
    ) -> Recording:
        """Begin to record; await the result for its end. All arguments are as of `record`.

        Raises:
            Conflict: there is one of this name.
        """
        options = RecordingOptions(
            format=format,
            beep=beep,
            end=end,
            max_silence=max_silence,
            max_seconds=max_seconds,
            if_exists=if_exists,
        )
        recording = Recording(self, name)
        await recording.start(options)
        return recording

    async def _start(
        self,
        media: str | Sequence[str],
        interruption: Interruption,
        language: str | None,
        start_seconds: float,
    ) -> Playback:
        name = new_object_of(self.dialog_id)
        playback = Playback(
            self,
            name,
            ahead=self._last_playback,
            start_seconds=start_seconds,
            interruption=interruption,
        )
        try:
            async with asked_of(self):
                await self.ari.channels.play(
                    self.channel_id, speech.media(media), lang=language, playback_id=name
                )
        except NOT_BEGUN:
            playback.forget()
            raise
        except BaseException:
            await playback.abandon()
            raise
        self._last_playback = playback
        return playback
