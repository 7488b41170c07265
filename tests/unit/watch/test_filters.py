"""Which records `tail` shows."""

from ari_proxy.watch.filters import Filter
from tests.support.tap_records import CALL, DIALOG, copy_of, event


def test_filter_without_wishes_lets_all_pass() -> None:
    assert all(map(Filter().passes, CALL))


def test_filter_by_type_takes_events_and_kinds() -> None:
    shown = [c for c in CALL if Filter(types=["StasisStart", "response"]).passes(c)]
    assert shown == [CALL[1], CALL[4]]


def test_filter_by_dialog() -> None:
    wanted = Filter(dialogs=[DIALOG])
    assert all(map(wanted.passes, CALL))
    assert not wanted.passes(event("StasisStart", dialog="s.other"))
    assert wanted.passes(copy_of("skipped", dialog="", count=1))


def test_filter_by_application_knows_commands_by_their_dialog() -> None:
    wanted = Filter(applications=["demo"])
    wanted.learn({"s.open": "demo", "s.foreign": "other"})
    assert all(map(wanted.passes, CALL))
    assert wanted.passes(copy_of("command", dialog="s.open"))
    assert not wanted.passes(copy_of("command", dialog="s.foreign"))
    assert not wanted.passes(copy_of("command", dialog="s.unknown"))
    assert not wanted.passes(event("StasisStart", dialog="s.x", application="other"))
    assert not wanted.passes(copy_of("response", dialog="s.x"))
