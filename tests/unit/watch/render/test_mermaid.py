"""A dialog as Mermaid's sequence diagram."""

from ari_proxy.watch.render import mermaid
from ari_proxy.watch.render.steps import step_of
from tests.support.tap_records import CALL, DIALOG, event


def test_ladder_as_mermaid() -> None:
    records = [*CALL, event("X", 2, eventname="a;b#<c>")]
    drawn = mermaid.draw(DIALOG, list(map(step_of, records)))
    assert drawn.splitlines()[3:] == [
        "  participant Asterisk",
        "  participant ingest",
        "  participant application",
        "  participant command",
        "  ingest->>application: AppStart demo 1.2",
        "  Asterisk->>application: 1 StasisStart",
        "  application->>command: POST /channels/1.2/answer",
        "  command->>Asterisk: POST /channels/1.2/answer",
        "  command-->>application: 204",
        "  Asterisk-xapplication: ChannelDtmfReceived 5",
        "  Note over Asterisk,command: the dialog has ended",
        "  Asterisk->>application: 2 X a#59;b#35;#lt;c#gt;",
    ]
