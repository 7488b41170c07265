"""The newest calls of several servers."""

from ari_proxy.tap.facts import CallFacts
from ari_proxy.watch.call_filter import CallFilter
from ari_proxy.watch.calls import newest


def test_newest_that_match_are_shown_in_the_order_in_which_they_began() -> None:
    found = [
        CallFacts(f"{server}.{at:g}", server, server, started_at=at)
        for server, at in [("b", 4.0), ("a", 1.0), ("b", 2.0), ("a", 3.0)]
    ]
    shown = newest(found, CallFilter(), 3, now=5)
    assert [facts.started_at for facts in shown] == [2, 3, 4]
    only = newest(found, CallFilter(application="a"), 3, now=5)
    assert [facts.dialog_id for facts in only] == ["a.1", "a.3"]
    assert newest(found, CallFilter(application="none"), 3, now=5) == []
