"""The golden transcripts."""

import base64
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"


def lines(transcript: str) -> list[dict[str, Any]]:
    path = DATA / "golden" / f"{transcript}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def payload(line: dict[str, Any]) -> bytes:
    if "payload_b64" in line:
        return base64.b64decode(line["payload_b64"])
    text: str = line.get("payload", "")
    return text.encode()


def bus_payloads(transcript: str, topic_prefix: str, *, sender: str) -> list[bytes]:
    """Return the payloads that `sender` (proxy or client) published on topics with a prefix."""
    return [
        payload(line)
        for line in lines(transcript)
        if line.get("op") == "PUB"
        and line.get("dir", "").startswith(sender)
        and line["subject"].startswith(topic_prefix)
    ]


def recorded(version: str, scenario: str) -> list[dict[str, Any]]:
    path = DATA / "recordings" / version / f"{scenario}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
