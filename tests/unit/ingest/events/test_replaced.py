"""The applications that another client has taken."""

import asyncio

import pytest
import structlog

from ari_proxy.ingest.events.replaced import ReplacedApplications
from tests.support.running import until


async def test_all_are_replaced_when_the_last_one_is() -> None:
    replaced = ReplacedApplications(["demo", "voicemail"])
    replaced.note("demo")
    assert (replaced.names, replaced.are_all) == ({"demo"}, False)
    replaced.note("voicemail")

    await asyncio.wait_for(replaced.wait_all(), 5)
    assert replaced.are_all


async def test_new_connection_has_all_applications() -> None:
    replaced = ReplacedApplications(["demo"])
    names = replaced.names
    replaced.note("demo")
    replaced.begin_connection(has_all=True)

    assert (replaced.names, replaced.are_all) == (set(), False)
    assert replaced.names is names


async def test_connection_that_asterisk_opens_gets_no_application_back() -> None:
    replaced = ReplacedApplications(["demo", "voicemail"])
    replaced.note("demo")
    replaced.begin_connection(has_all=False)

    assert (replaced.has_events("demo"), replaced.has_events("voicemail")) == (False, True)


async def test_events_come_while_connected_except_those_of_a_replaced_application() -> None:
    replaced = ReplacedApplications(["demo", "voicemail"])
    before = replaced.has_events("demo")
    replaced.begin_connection(has_all=True)
    replaced.note("voicemail")
    found = replaced.has_events("demo"), replaced.has_events("voicemail")
    replaced.end_connection()

    assert (before, found, replaced.has_events("demo")) == (False, (True, False), False)


async def test_word_of_a_former_connection_does_not_count_for_the_present_one() -> None:
    replaced = ReplacedApplications(["demo"])
    replaced.note("demo", is_former=True)

    assert (replaced.names, replaced.are_all) == (set(), False)


@pytest.mark.parametrize(
    ("is_expected", "event"), [(False, "application.replaced"), (True, "application.handed_over")]
)
async def test_application_that_no_successor_has_taken_is_an_error(
    *, is_expected: bool, event: str
) -> None:
    replaced = ReplacedApplications(["demo"], asked_seconds=0)
    with structlog.testing.capture_logs() as logs:
        replaced.note("demo")
        if is_expected:
            replaced.expect()
        await until(lambda: logs)

    assert [(log["event"], log["application"]) for log in logs] == [(event, "demo")]


async def test_freed_application_is_taken_again_and_others_are_left_to_their_owners() -> None:
    replaced = ReplacedApplications(["demo", "voicemail", "queue"])
    replaced.note("demo")
    replaced.note("voicemail")
    assert replaced.left == set()

    replaced.take_again({"demo"})
    assert replaced.left == {"voicemail"}
    replaced.begin_connection(has_all=True)
    assert replaced.names == {"voicemail"}
    # A connection that is lost gets all, as it always did.
    replaced.begin_connection(has_all=True)
    assert replaced.names == set()
