"""A permit to publish that tests take away."""


class SwitchedPermit:
    """Valid until it is taken away."""

    def __init__(self) -> None:
        self.is_given = True

    def is_valid(self) -> bool:
        """Return whether it is given."""
        return self.is_given
