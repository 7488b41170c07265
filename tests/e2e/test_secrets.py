"""A Secret changes during calls."""

import asyncio
import base64

import pytest
import yaml

from tests.e2e.conftest import calls, named, sample
from tests.support.cluster import Namespace, until

pytestmark = pytest.mark.timeout(420)


async def test_password_is_rotated_and_calls_go_on(set_of_asterisks: Namespace) -> None:
    voice = set_of_asterisks
    name = "rotating"
    await asyncio.to_thread(voice.apply, yaml.safe_dump(named(sample("minimal"), name, name)))
    await asyncio.to_thread(voice.until_settled, name)
    passwords = ["change-me"]
    async with calls(voice, name, passwords=passwords) as made:
        (channel,) = await made.place()
        dialog = made.dialog_of(channel)
        pods = [pod["metadata"]["name"] for pod in voice.pods(name, "command")]

        await asyncio.to_thread(rotate, voice, name, "another-one")
        passwords.append("another-one")

        response = await made.client.command(dialog, "POST", f"/channels/{channel}/answer")
        assert response["status_code"] == 204
        # Nothing was restarted for it.
        assert [pod["metadata"]["name"] for pod in voice.pods(name, "command")] == pods
        (later,) = await made.place()
        await made.mark_once_more([channel, later])
        await made.hang_up_all()
        await asyncio.to_thread(rotate, voice, name, "change-me")
    await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", name)


def rotate(voice: Namespace, name: str, password: str) -> None:
    """Change the password in both Secrets, and wait until Asterisk and all pods use it."""
    users = f"[ari]\ntype=user\npassword={password}\npassword_format=plain\n"
    put(voice, "asterisk-users", "users.conf", users)
    put(voice, "asterisk-ari", "password", password)
    pods = [pod for component in ("ingest", "command") for pod in voice.pods(name, component)]
    for pod in pods:
        path = "/etc/ari-proxy/secrets/ari/password"
        until_mounted(voice, pod["metadata"]["name"], path, password)
    until_mounted(voice, "asterisk-0", "/etc/asterisk-users/users.conf", users)
    voice.kubectl("exec", "asterisk-0", "--", "asterisk", "-rx", "module reload res_ari.so")


def put(voice: Namespace, secret: str, key: str, value: str) -> None:
    encoded = base64.b64encode(value.encode()).decode()
    patch = f'{{"data": {{"{key}": "{encoded}"}}}}'
    voice.kubectl("patch", "secret", secret, "--patch", patch)


def until_mounted(voice: Namespace, pod: str, path: str, content: str) -> None:
    """Wait until the kubelet has updated a file; a change of the pod makes it do so at once."""
    voice.kubectl("annotate", "pod", pod, f"looked-at={hash(content)}", "--overwrite")

    def is_there() -> bool:
        return voice.kubectl("exec", pod, "--", "cat", path).strip() == content.strip()

    until(is_there, f"{path} in {pod} is the new one", seconds=120)
