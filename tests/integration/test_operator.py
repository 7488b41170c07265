"""The operator where there is no cluster."""

from pathlib import Path

import pytest

from tests.support.process import running


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("KUBECONFIG", "/nowhere/kubeconfig", "no Kubernetes cluster"),
        ("ARI_PROXY_WORKERS", "0", "environment variable ARI_PROXY_WORKERS"),
        ("ARI_PROXY_NAMESPACES", '["voice"', "namespaces"),
    ],
)
async def test_operator_that_cannot_work_says_why(
    tmp_path: Path, variable: str, value: str, message: str
) -> None:
    async with running(tmp_path / "log", "operator", **{variable: value}) as process:
        assert await process.ended() == 1
        text = process.log

    assert text.startswith("error: ")
    assert message in text
    assert "Traceback" not in text
