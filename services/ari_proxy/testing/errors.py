"""The error of the test kit."""


class UnmetExpectationError(AssertionError):
    """A call went otherwise than a test expects; the message has the call's ladder."""

    def __init__(self, what: str, ladder: str) -> None:
        super().__init__(f"{what}\n\n{ladder}")
        #: What was expected, and what came.
        self.what = what
