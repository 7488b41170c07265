"""Publisher confirms: how many of a channel's messages are confirmed without a gap. Sans-I/O.

RabbitMQ numbers a channel's messages from 1 and confirms them as their queues take them, so in any
order (rabbitmq.com/docs/confirms).
"""


class Confirmations:
    """Turns confirms in any order into a count from the beginning."""

    __slots__ = ("_ahead", "settled")

    def __init__(self) -> None:
        #: All messages up to this number are confirmed.
        self.settled = 0
        self._ahead: set[int] = set()

    def open_until(self, tag: int) -> list[int]:
        """Return the numbers up to a tag that are not confirmed yet."""
        return [n for n in range(self.settled + 1, tag + 1) if n not in self._ahead]

    def confirm(self, tag: int, *, multiple: bool) -> int:
        """Add a confirm; return how many messages are confirmed from the first one on.

        Args:
            tag: the message's number.
            multiple: whether it confirms all earlier ones as well.
        """
        if tag <= self.settled:
            return self.settled
        if multiple:
            self.settled = tag
            self._ahead = {number for number in self._ahead if number > tag}
        else:
            self._ahead.add(tag)
        while self.settled + 1 in self._ahead:
            self.settled += 1
            self._ahead.discard(self.settled)
        return self.settled
