"""Answers that are errors become what they mean."""

import re

import pytest

from ari_proxy.client import errors
from ari_proxy.client.errors import ClientError, RequestFailed, TransportFailed, of_answer

REQUEST = "channels.answer (POST /channels/1.2/answer)"


@pytest.mark.parametrize("status", [200, 201, 204])
def test_successes_are_no_errors(status: int) -> None:
    assert of_answer(REQUEST, status, '{"message":"fine"}') is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidParameters),
        (403, errors.NotAllowed),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (412, errors.InvalidState),
        (413, errors.InvalidParameters),
        (422, errors.InvalidParameters),
        (500, RequestFailed),
        (503, RequestFailed),
    ],
)
def test_asterisks_statuses(status: int, kind: type[RequestFailed]) -> None:
    error = of_answer(REQUEST, status, '{"message":"Channel not found"}')

    assert type(error) is kind
    assert str(error) == f"{REQUEST}: {status}, Channel not found"
    assert error.reason == ""


def test_what_the_policy_forbids_says_that_the_proxy_has() -> None:
    body = '{"message":"forbidden","error":"ari_proxy.policy","sent":false}'

    error = of_answer(REQUEST, 403, body)

    assert isinstance(error, errors.NotAllowed)
    assert error.reason == "ari_proxy.policy"


@pytest.mark.parametrize(
    ("status", "reason", "sent", "kind"),
    [
        (502, "unreachable", "false", errors.NotSent),
        (502, "unreachable", "true", errors.OutcomeUnknown),
        (504, "timeout", "true", errors.OutcomeUnknown),
        (504, "timeout", "false", errors.NotSent),
        (503, "overload", "false", errors.NotSent),
        (501, "needs_http", "false", errors.NotSent),
        (502, "too_large", "true", errors.AnswerLost),
    ],
)
def test_the_proxys_own_say_whether_it_was_sent(
    status: int, reason: str, sent: str, kind: type[TransportFailed]
) -> None:
    body = f'{{"message":"no answer","error":"ari_proxy.{reason}","sent":{sent}}}'

    error = of_answer(REQUEST, status, body)

    assert type(error) is kind
    assert error.sent is {"NotSent": False, "AnswerLost": True}.get(kind.__name__)
    assert str(error) == f"{REQUEST}: no answer"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "no text"),
        ("<html>404</html>", "<html>404</html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ('{"message":5}', '{"message":5}'),
        ("[" * 5_000, "[" * 200),
    ],
)
def test_any_body_is_taken(body: str | bytes, message: str) -> None:
    error = of_answer(REQUEST, 404, body)

    assert isinstance(error, errors.NotFound)
    assert error.message == message


def test_they_are_one_tree() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    raised = [kind for kind in classes if issubclass(kind, Exception)]

    drawn = re.findall(r"^\W*(\w+)", (errors.__doc__ or "").partition("\n\n")[2], re.MULTILINE)
    assert sorted(kind.__name__ for kind in raised) == sorted(drawn)
    assert all(issubclass(kind, ClientError) for kind in raised)
