import pytest

from ari_proxy.bus.nats.denials import DeniedTopics, Violation, violation_in


@pytest.mark.parametrize(
    ("error", "violation"),
    [
        (
            'nats: permissions violation for subscription to "commands_s.*" using queue "own"',
            Violation("subscribe", "commands_s.*", "own"),
        ),
        (
            'nats: permissions violation for subscription to "demo"',
            Violation("subscribe", "demo", ""),
        ),
        ('nats: Permissions Violation for Publish to "Demo"', Violation("publish", "demo", "")),
        (
            'nats: permissions violation for publish with reply of "_R_.x"',
            Violation("publish", "_r_.x", ""),
        ),
        ("nats: maximum payload violation", None),
    ],
)
def test_refusals_are_read_as_the_server_writes_them(
    error: str, violation: Violation | None
) -> None:
    assert violation_in(error) == violation


def test_topic_is_found_whatever_case_it_was_written_in() -> None:
    violation = Violation("subscribe", "commands_s.*", "own")

    assert violation.concerns("commands_S.*", "Own")
    assert not violation.concerns("commands_S.*")


def test_publishing_is_denied_until_the_server_has_taken_a_later_message() -> None:
    denied = DeniedTopics()
    denied.deny("events_s.*")
    denied.note_sent("events_s.1")
    denied.deny("events_s.*")
    assert denied.confirm(denied.sent()) == []

    denied.note_sent("events_s.2")
    before = denied.sent()
    denied.note_sent("events_s.3")  # Its refusal may still be on its way.
    assert denied.confirm(before) == ["events_s.*"]
    assert not denied


def test_what_was_sent_on_other_topics_is_not_counted() -> None:
    denied = DeniedTopics()
    denied.deny("events_s.*")
    denied.note_sent("responses_s.1")

    assert denied.sent() == {"events_s.*": 0}


def test_permission_that_is_granted_is_forgotten_once() -> None:
    denied = DeniedTopics()
    denied.deny("events_s.*")

    assert denied.forget("events_s.*")
    assert not denied.forget("events_s.*")
    assert not denied
