import pytest

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.ingest.queues.orphans import OrphanedDialogs, note
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from tests.support.malformed import DEEPLY_NESTED

TOKEN = "0123456789abcdef"
DIALOG = DeclaredQueues(topics.of_dialog(DialogId(f"server.{TOKEN}")), note("demo", "c"))


def test_dialog_whose_channels_are_gone_for_the_grace_period_is_over() -> None:
    left = OrphanedDialogs(grace_seconds=60)
    left.add(DIALOG)

    found = [left.observe({"other"}, now) for now in (0.0, 59.0, 60.0, 61.0)]

    assert [over for _, over in found] == [[], [], [DIALOG], []]
    assert [gone for gone, _ in found] == [[DIALOG], [], [], []]
    assert left.application_of(DIALOG) == "demo"
    assert len(left) == 0


def test_dialog_lives_with_its_first_channel_or_any_that_tells_it() -> None:
    left = OrphanedDialogs(grace_seconds=60)
    left.add(DIALOG)
    named = f"arip-{TOKEN}-0123456789"

    found = [
        left.observe(channels, 100.0 * number)
        for number, channels in enumerate(
            [{"c"}, {named}, {f"{named};2"}, set[str](), {"c"}, set[str](), set[str]()]
        )
    ]

    assert [over for _, over in found] == [[], [], [], [], [], [], [DIALOG]]
    assert [bool(gone) for gone, _ in found] == [False, False, False, True, False, True, False]


@pytest.mark.parametrize("text", ["what is this", DEEPLY_NESTED.decode()])
def test_note_of_another_version_is_no_obstacle(text: str) -> None:
    left = OrphanedDialogs(grace_seconds=0)
    strange = DIALOG._replace(note=text)
    left.add(strange)

    assert left.observe({f"arip-{TOKEN}-0123456789"}, 0) == ([], [])
    assert left.observe(set(), 1) == ([strange], [])
    assert left.observe(set(), 2) == ([], [strange])
    assert left.application_of(strange) == ""
