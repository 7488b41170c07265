"""Pods that do not tell what they are asked, each said once. Pure."""

from ari_proxy.operator.observe.state import Key, Observed, Silence


class Silences:
    """Knows which have been said: a drain asks every few seconds."""

    def __init__(self) -> None:
        self._said: dict[Key, frozenset[Silence]] = {}

    def news(self, key: Key, observed: Observed) -> list[Silence]:
        """Return those that were not there, or for another reason, at the last look.

        Args:
            key: namespace and name of the resource.
            observed: what this look has found of it.
        """
        former = self._said.pop(key, frozenset())
        if observed.silences:
            self._said[key] = observed.silences
        return sorted(observed.silences - former)

    def forget(self, key: Key) -> None:
        """Forget a resource that is no more."""
        self._said.pop(key, None)
