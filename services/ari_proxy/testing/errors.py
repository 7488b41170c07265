"""The errors of the test kit."""

from unittest import SkipTest


class UnmetExpectationError(AssertionError):
    """A call went otherwise than a test expects; the message has the call's ladder."""

    def __init__(self, what: str, ladder: str) -> None:
        super().__init__(f"{what}\n\n{ladder}")
        #: What was expected, and what came.
        self.what = what


class NotOnAsteriskError(SkipTest):
    """A test asks for what a real Asterisk can't be made to do; pytest skips it."""
