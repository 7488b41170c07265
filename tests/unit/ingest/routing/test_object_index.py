"""Which dialog an object belongs to, by its entry or by its id."""

import pytest

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.object_index import ObjectIndex
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId


@pytest.fixture
def index() -> ObjectIndex:
    return ObjectIndex()


def dialog(index: ObjectIndex, token: str) -> Dialog:
    made = Dialog(DialogId(f"s.{token}"), "demo", "", announce=True, now=0)
    index.add(made)
    return made


def test_object_is_found_by_its_entry_or_by_the_token_in_its_id(index: ObjectIndex) -> None:
    first, second = dialog(index, "0123456789abcdef"), dialog(index, "fedcba9876543210")
    index.bind("bridge", "named", first)

    assert index.of_object("bridge", "named") is first
    assert index.of_object("bridge", ids.new_object_id(second.token)) is second
    assert index.of_object("bridge", "unknown") is None
    assert index.of_object("playback", "named") is None


def test_object_that_moves_to_another_dialog_leaves_the_first(index: ObjectIndex) -> None:
    first, second = dialog(index, "0123456789abcdef"), dialog(index, "fedcba9876543210")
    index.bind("channel", "c", first)
    index.move("channel", "c", second)

    assert index.channels["c"] is second
    assert (first.objects, second.objects) == ({}, {"channel": ["c"]})


def test_removed_dialog_leaves_no_entry_and_takes_no_other_dialogs(index: ObjectIndex) -> None:
    first, second = dialog(index, "0123456789abcdef"), dialog(index, "fedcba9876543210")
    index.bind("channel", "c", first)
    index.bind("recording", "r", first)
    index.bind_former(first, "moved")
    index.bind("recording", "r", second)
    index.remove(first)

    assert (len(index), dict(index.former)) == (1, {})
    assert index.of_object("recording", "r") is second
    assert index.of_object("channel", ids.new_object_id(first.token)) is None
