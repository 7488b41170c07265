"""Whatever stands in a field of an event, the event goes where it belongs without that field."""

import copy
import json
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.ari import events
from ari_proxy.ari.errors import MalformedEventError
from tests.support.golden import recorded

SCENARIOS: Final = {
    "22": ("a_call_play_dtmf", "b_bridge", "d_recording"),
    "16": ("a_call_play_dtmf", "b_bridge", "d_recording"),
}
BROADCAST: Final = {
    "type": "CallBroadcast",
    "application": "demo",
    "channel": {"id": "1.2", "dialplan": {"app_name": "StasisBroadcast"}},
    "caller": "200",
    "called": "300",
}


def _one_of_each_shape() -> Iterator[dict[str, Any]]:
    seen = set()
    for version, scenarios in SCENARIOS.items():
        for scenario in scenarios:
            for line in recorded(version, scenario):
                if line["dir"] != "event":
                    continue
                event = json.loads(line["frame"])
                shape = json.dumps(sorted(map(str, _places(event))))
                if (event["type"], shape) not in seen:
                    seen.add((event["type"], shape))
                    yield event
    yield BROADCAST


def _places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the paths to all that stands in an event."""
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    for key, part in parts:
        yield (*path, key)
        yield from _places(part, *path, key)


EVENTS: Final = list(_one_of_each_shape())
PLACES: Final = [(event, path) for event in EVENTS for path in _places(event) if path != ("type",)]
# JSON has no NaN and no Infinity, though Python's json module writes them.
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("x"), inner),
    max_leaves=6,
)


def _routing(event: dict[str, Any]) -> tuple[Any, ...]:
    found = events.decode(json.dumps(event))
    ids = events.channel_ids, events.bridge_ids, events.indirect_channel_ids, events.target
    return found.type, found.application, *(read(found) for read in ids)


def _with(event: dict[str, Any], path: tuple[Any, ...], value: Any = ...) -> dict[str, Any]:
    """Return an event with another value at a place, or with none."""
    changed = copy.deepcopy(event)
    holder: Any = changed
    for key in path[:-1]:
        holder = holder[key]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed


def _at(event: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        event = event[key]
    return event


@given(st.sampled_from(PLACES), json_values)
def test_field_with_any_other_value_is_as_if_it_were_absent(
    place: tuple[dict[str, Any], tuple[Any, ...]], value: Any
) -> None:
    event, path = place
    original = _at(event, path)
    # A text where a text is awaited names another object, and a list holds other ones.
    is_of_the_same_type = isinstance(value, type(original)) and isinstance(original, str | list)
    if not is_of_the_same_type:
        assert _routing(_with(event, path, value)) == _routing(_with(event, path))


@given(st.sampled_from(EVENTS), json_values.filter(lambda value: not isinstance(value, str)))
def test_only_a_type_that_is_no_text_makes_it_no_event(event: dict[str, Any], value: Any) -> None:
    try:
        events.decode(json.dumps(event | {"type": value}))
    except MalformedEventError:
        return
    raise AssertionError(value)
