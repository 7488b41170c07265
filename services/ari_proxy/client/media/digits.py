"""Asking for digits: what to do next, by digits, time, and ends of playbacks. Sans-I/O.

A try goes from asking to listening, and ends with digits that are right, or wrong, or with none.

    ASKING ──digit──▶ LISTENING ──wrong──▶ REFUSING ──▶ ASKING again, or OVER
       └──has ended──▶    └──nothing in time──▶ ASKING again, or OVER

Digits count from the moment that the first try begins: one that is pressed while something is
played ends that, and is the first of its try.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

#: Seconds for the first digit, between two, and for all tries (CyCoreSystems/ari, ext/prompt).
FIRST_DIGIT_SECONDS: Final = 4.0
INTER_DIGIT_SECONDS: Final = 3.0
OVERALL_SECONDS: Final = 180.0
TRIES: Final = 3


class PromptPhase(Enum):
    """What is to be done now."""

    #: The question is played.
    ASKING = auto()
    #: Nothing is played, and digits are awaited.
    LISTENING = auto()
    #: What says that the digits were wrong is played.
    REFUSING = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitRules:
    """Which digits are right, and how long to wait for them."""

    #: How many; fewer are right only in front of `end`. None for any number.
    digits: int | None = None
    #: Digits that end the input, and do not belong to it.
    end: str = "#"
    #: The inputs that are right; empty if any is.
    choices: Sequence[str] = ()
    #: Decides whether an input is right that is so by the other rules.
    match: Callable[[str], bool] | None = None
    first_digit: float = FIRST_DIGIT_SECONDS
    inter_digit: float = INTER_DIGIT_SECONDS
    overall: float = OVERALL_SECONDS
    tries: int = TRIES
    #: Whether something is played after wrong digits.
    refuses: bool = False

    def __post_init__(self) -> None:
        if self.digits is not None and self.digits < 1:
            raise ValueError(f"digits is {self.digits}, less than 1")
        if self.tries < 1:
            raise ValueError(f"tries is {self.tries}, less than 1")

    def is_complete(self, typed: str) -> bool:
        """Return whether more digits would not change the outcome."""
        if self.digits is not None and len(typed) >= self.digits:
            return True
        if not self.choices:
            return False
        return not any(self._is_longer(choice, typed) for choice in self.choices)

    @staticmethod
    def _is_longer(choice: str, typed: str) -> bool:
        return choice.startswith(typed) and choice != typed

    def ends(self, typed: str, digit: str) -> bool:
        """Return whether a digit behind what was typed is the end key, and none of a choice."""
        is_chosen = any(choice.startswith(typed + digit) for choice in self.choices)
        return digit in self.end and not is_chosen

    def accepts(self, typed: str, *, was_ended: bool) -> bool:
        """Return whether an input is right.

        Args:
            typed: the input.
            was_ended: whether the caller has said so by the end key.
        """
        if not typed or (self.choices and typed not in self.choices):
            return False
        is_short = self.digits is not None and len(typed) < self.digits
        if is_short and not self.choices and not was_ended:
            return False
        return self.match is None or self.match(typed)


class PromptTries:
    """The tries of one prompt; times are seconds of any one clock."""

    def __init__(self, rules: DigitRules, now: float) -> None:
        self._rules = rules
        self._ends_at = now + rules.overall
        self._tries_left = rules.tries
        #: What was typed in this try.
        self.typed = ""
        #: The input that was right; None before, and if there was none.
        self.result: str | None = None
        #: When `expire` is to be called, unless something happens before.
        self.deadline = self._ends_at
        self.phase = PromptPhase.ASKING

    def press(self, digit: str, now: float) -> None:
        """Handle a digit."""
        if self.phase is PromptPhase.OVER or not self._tries_left:
            return
        if self.phase is not PromptPhase.LISTENING:
            self.phase = PromptPhase.LISTENING
            self.typed = ""
        is_end = self._rules.ends(self.typed, digit)
        if not is_end:
            self.typed += digit
        if is_end or self._rules.is_complete(self.typed):
            self._judge(now, was_ended=is_end)
        else:
            self._wait(now, self._rules.inter_digit)

    def finish_playing(self, now: float) -> None:
        """Note that what is played in this phase has ended."""
        if self.phase is PromptPhase.ASKING:
            self.phase = PromptPhase.LISTENING
            self._wait(now, self._rules.first_digit)
        elif self.phase is PromptPhase.REFUSING:
            self._ask_again()

    def expire(self, now: float) -> None:
        """Handle the deadline."""
        if now >= self._ends_at:
            self.phase = PromptPhase.OVER
        elif self.phase is PromptPhase.LISTENING and self.typed:
            self._judge(now, was_ended=False)
        elif self.phase is PromptPhase.LISTENING:
            self._tries_left -= 1
            self._ask_again()

    def _wait(self, now: float, seconds: float) -> None:
        self.deadline = min(now + seconds, self._ends_at)

    def _judge(self, now: float, *, was_ended: bool) -> None:
        if self._rules.accepts(self.typed, was_ended=was_ended):
            self.result = self.typed
            self.phase = PromptPhase.OVER
            return
        self._tries_left -= 1
        if self._rules.refuses:
            self.phase = PromptPhase.REFUSING
            self.deadline = self._ends_at
        else:
            self._ask_again()
        if now >= self._ends_at:
            self.phase = PromptPhase.OVER

    def _ask_again(self) -> None:
        """Begin the next try, if there is one left."""
        self.typed = ""
        self.deadline = self._ends_at
        self.phase = PromptPhase.ASKING if self._tries_left else PromptPhase.OVER
