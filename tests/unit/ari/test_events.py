import json
from typing import Any

import pytest

from ari_proxy.ari import events
from ari_proxy.ari.errors import MalformedEventError
from ari_proxy.ari.event_types import EVENT_TYPES
from tests.support.golden import DATA

TABLE: dict[str, list[dict[str, Any]]] = json.loads((DATA / "event-ids.json").read_text())


def event_with(path: str, value: str) -> dict[str, Any]:
    """An event in which the given path, like `a.b.channels[]`, holds the value."""
    *parents, last = path.split(".")
    content: dict[str, Any] = {}
    place = content
    for parent in parents:
        place = place.setdefault(parent, {})
    if last.endswith("[]"):
        place[last[:-2]] = [value]
        if last == "channels[]":
            place["id"] = "some-bridge"
    else:
        place[last] = value
    return content


CASES = [
    (event_type, row["path"], row["kind"])
    for event_type, rows in TABLE.items()
    for row in rows
    if row["kind"] in {"channel", "bridge", "channel (indirect)"}
    and not row["path"].endswith("bridge.video_source_id")
    and not row["path"].endswith("_bridge.video_source_id")
    and not row["path"].endswith("bridge_from.video_source_id")
]


@pytest.mark.parametrize(("event_type", "path", "kind"), CASES)
def test_every_id_of_every_event_type_is_found(event_type: str, path: str, kind: str) -> None:
    frame = json.dumps({"type": event_type} | event_with(path, "the-id"))

    event = events.decode(frame)

    found = {
        "channel": events.channel_ids,
        "bridge": events.bridge_ids,
        "channel (indirect)": events.indirect_channel_ids,
    }[kind](event)
    assert "the-id" in found


def test_every_event_type_is_known() -> None:
    assert set(TABLE) == EVENT_TYPES


def test_single_channel_types_name_one_channel_and_nothing_else() -> None:
    for event_type in events.SINGLE_CHANNEL_TYPES:
        assert [row["path"] for row in TABLE[event_type]] == ["channel.id"]


@pytest.mark.parametrize("kind", ["playback", "recording"])
def test_media_tell_their_target(kind: str) -> None:
    frame = json.dumps({"type": "X", kind: {"target_uri": "channel:1.2"}})

    assert events.target(events.decode(frame)) == "channel:1.2"


def test_unknown_type_passes() -> None:
    event = events.decode('{"type":"NewInAsterisk30","channel":{"id":"1.2"},"x":[1,{}]}')

    assert (event.type, events.channel_ids(event)) == ("NewInAsterisk30", ["1.2"])


@pytest.mark.parametrize("frame", ["", "{", "[]", "{}", '{"type":1}', '{"type":null}', "[" * 99999])
def test_what_is_no_event_is_refused(frame: str) -> None:
    with pytest.raises(MalformedEventError):
        events.decode(frame)
