"""The tries of a prompt: digits, time, and ends of playbacks."""

import pytest

from ari_proxy.client.media.digits import DigitRules, PromptPhase, PromptTries

ASKING, LISTENING = PromptPhase.ASKING, PromptPhase.LISTENING
REFUSING, OVER = PromptPhase.REFUSING, PromptPhase.OVER


def typed(rules: DigitRules, digits: str) -> PromptTries:
    """Type digits while the question is played."""
    tries = PromptTries(rules, 0)
    for digit in digits:
        tries.press(digit, 1)
    return tries


def test_digits_count_from_the_question_on() -> None:
    tries = PromptTries(DigitRules(digits=2), 0)
    assert tries.phase is ASKING

    tries.press("1", 1)
    assert (tries.phase, tries.deadline) == (LISTENING, 4)
    tries.press("2", 2)

    assert (tries.phase, tries.result) == (OVER, "12")


def test_first_digit_has_its_time_from_the_end_of_the_question() -> None:
    tries = PromptTries(DigitRules(digits=2), 0)
    tries.finish_playing(10)
    assert (tries.phase, tries.deadline) == (LISTENING, 14)


def test_end_key_ends_the_input_and_does_not_belong_to_it() -> None:
    assert typed(DigitRules(digits=4), "12#").result == "12"
    assert typed(DigitRules(end="*#"), "12*").result == "12"


def test_end_key_may_be_a_digit_like_others() -> None:
    assert typed(DigitRules(digits=2, end=""), "1#").result == "1#"


def test_any_number_of_digits_ends_with_time() -> None:
    tries = typed(DigitRules(), "123")
    assert tries.phase is LISTENING

    tries.expire(4)

    assert (tries.phase, tries.result) == (OVER, "123")


def test_too_few_digits_in_time_are_wrong() -> None:
    tries = typed(DigitRules(digits=4, tries=1), "12")
    tries.expire(4)
    assert (tries.phase, tries.result) == (OVER, None)


@pytest.mark.parametrize(("digits", "expected"), [("2", "2"), ("45", "45"), ("4#", "4")])
def test_choice_is_right_as_soon_as_no_longer_one_begins_with_it(
    digits: str, expected: str
) -> None:
    assert typed(DigitRules(choices=("2", "4", "45")), digits).result == expected


def test_choice_that_begins_a_longer_one_is_right_after_a_while() -> None:
    tries = typed(DigitRules(choices=("4", "45")), "4")
    assert tries.phase is LISTENING
    tries.expire(4)
    assert tries.result == "4"


def test_end_key_may_be_a_choice() -> None:
    assert typed(DigitRules(choices="12#"), "#").result == "#"


def test_wrong_choice_is_asked_again_at_once() -> None:
    tries = typed(DigitRules(choices="123"), "9")
    assert (tries.phase, tries.typed, tries.result) == (ASKING, "", None)


def test_match_decides_what_is_right_otherwise() -> None:
    rules = DigitRules(digits=4, match=lambda digits: digits == "1234")
    assert typed(rules, "1234").result == "1234"
    assert typed(rules, "1235").phase is ASKING


def test_end_key_alone_is_wrong() -> None:
    assert typed(DigitRules(tries=1), "#").phase is OVER


def test_wrong_digits_are_refused_before_the_next_try() -> None:
    tries = typed(DigitRules(digits=1, choices="1", refuses=True), "9")
    assert tries.phase is REFUSING

    tries.finish_playing(5)

    assert tries.phase is ASKING


def test_digit_during_the_refusal_is_the_first_of_the_next_try() -> None:
    tries = typed(DigitRules(digits=2, match="12".__eq__, refuses=True), "99")

    tries.press("1", 2)
    tries.press("2", 3)

    assert tries.result == "12"


def test_digit_during_the_last_refusal_begins_no_try() -> None:
    tries = typed(DigitRules(choices="1", refuses=True, tries=1), "9")

    tries.press("1", 2)
    assert tries.phase is REFUSING
    tries.finish_playing(3)

    assert (tries.phase, tries.result) == (OVER, None)


def test_silence_is_a_try_without_a_refusal() -> None:
    tries = PromptTries(DigitRules(refuses=True, tries=2), 0)
    for end in (4, 8):
        tries.finish_playing(end - 4)
        assert tries.deadline == end
        tries.expire(end)
    assert (tries.phase, tries.result) == (OVER, None)


def test_all_tries_together_have_a_limit() -> None:
    tries = PromptTries(DigitRules(overall=10), 0)
    tries.finish_playing(9)
    assert tries.deadline == 10

    tries.press("1", 9.5)
    assert tries.deadline == 10
    tries.expire(10)

    assert (tries.phase, tries.result) == (OVER, None)


def test_limit_ends_a_question_and_a_refusal() -> None:
    asking = PromptTries(DigitRules(overall=10), 0)
    asking.expire(10)
    assert asking.phase is OVER

    late = PromptTries(DigitRules(overall=10, choices="1"), 0)
    late.press("9", 11)
    assert late.phase is OVER


def test_nothing_happens_before_a_deadline_or_after_the_end() -> None:
    tries = PromptTries(DigitRules(digits=1), 0)
    tries.expire(1)
    assert tries.phase is ASKING
    tries.press("1", 1)
    tries.press("2", 2)
    tries.finish_playing(2)
    tries.expire(500)
    assert (tries.phase, tries.result) == (OVER, "1")


def test_rules_that_nobody_can_follow() -> None:
    with pytest.raises(ValueError, match="digits is 0"):
        DigitRules(digits=0)
    with pytest.raises(ValueError, match="tries is 0"):
        DigitRules(tries=0)
