"""Explanations of refused certificates."""

import ssl

import pytest

from ari_proxy import certificate_errors


def refused(code: int, message: str) -> ssl.SSLCertVerificationError:
    """OpenSSL's refusal, as Python raises it."""
    error = ssl.SSLCertVerificationError(1, f"certificate verify failed: {message}")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("code", "message"),
    [(85, "Missing Authority Key Identifier"), (89, "Basic Constraints of CA cert not marked")],
)
def test_certificate_that_python_has_become_too_strict_for_is_explained(
    code: int, message: str
) -> None:
    reason = certificate_errors.explained(refused(code, message), "bus")
    assert reason.startswith("the server's certificate breaks a rule of RFC 5280")
    assert message in reason
    assert "reissue it" in reason
    assert certificate_errors.is_explained(reason)


def test_cause_is_found_behind_other_errors() -> None:
    outer = OSError("no connection")
    outer.__cause__ = refused(10, "certificate has expired")
    assert "has expired; renew it" in certificate_errors.explained(outer, "ari")
    assert not certificate_errors.is_about_names(outer)


@pytest.mark.parametrize(
    "error", [OSError("reset"), ssl.SSLCertVerificationError("own"), refused(1, "unspecified")]
)
def test_what_is_no_fault_of_a_certificate_is_not_explained(error: OSError) -> None:
    assert not certificate_errors.explained(error, "ari")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, "set ari.server_name"),
        ([], "no subjectAltName"),
        (["a"], "but a; set ari.server_name"),
        (list("abcdefg"), "but a, b, c, d, e, …"),
    ],
)
def test_mismatch_says_which_names_there_are(names: list[str] | None, expected: str) -> None:
    error = refused(62, "Hostname mismatch")
    assert certificate_errors.is_about_names(error)
    assert expected in certificate_errors.explained(error, "ari", names)
