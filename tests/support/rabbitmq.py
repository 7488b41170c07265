"""A private RabbitMQ node on free ports, and a link to it that can be cut."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

import aio_pika
import pytest

from tests.support.certificates import Certificates
from tests.support.ports import free_port
from tests.support.programs import missing, program

#: What a queue without a type is; RabbitMQ 4 only has the choice.
QUEUE_TYPE = os.environ.get("TEST_RABBITMQ_QUEUE_TYPE", "")
#: Long enough for a shared machine.
START_SECONDS = 60
#: What brings an alarm about, and what ends it.
_ALARMS = {
    "memory": (
        ("set_vm_memory_high_watermark", "0"),
        ("set_vm_memory_high_watermark", "absolute", "2GB"),
    ),
    "disk": (("set_disk_free_limit", "900000GB"), ("set_disk_free_limit", "50MB")),
}
_CANDIDATES = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"


def not_for_quorum(reason: str) -> pytest.MarkDecorator:
    """Skip a test where a queue without a type is a quorum queue."""
    return pytest.mark.skipif(QUEUE_TYPE == "quorum", reason=reason)


#: What concerns hundreds of queues, of whatever type.
needs_many_queues = not_for_quorum("RabbitMQ declares few quorum queues a second")


def find_rabbitmq_server() -> Path:
    """Return the start script itself: what is on the PATH changes to another user.

    TEST_RABBITMQ_SERVER names that of another release.
    """
    if chosen := os.environ.get("TEST_RABBITMQ_SERVER"):
        return Path(chosen)
    found = sorted(Path("/").glob(_CANDIDATES.removeprefix("/")))
    if not found:
        missing("rabbitmq", "apt-get install rabbitmq-server")
    return found[-1]


def _binary(text: str) -> str:
    """Return a text as Erlang's code for it."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'<<"{escaped}">>'


#: It gives a node a moment only to answer, which a busy machine may not have.
ERL_CALL_ATTEMPTS: Final = 20


class RabbitMqServer:
    """One node with its own data, ports and Erlang port mapper; it can be killed and started."""

    kind: Literal["NATS", "RABBITMQ"] = "RABBITMQ"

    def __init__(
        self, *, mapped_by: "RabbitMqServer | None" = None, takes_certificates: bool = False
    ) -> None:
        """Make a node.

        Args:
            mapped_by: the node whose Erlang port mapper and cookie it shares, to join it.
            takes_certificates: whether a client's certificate is a login (EXTERNAL).
        """
        self._takes_certificates = takes_certificates
        self._script = find_rabbitmq_server()
        self._directory = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
        self.port = free_port()
        self.tls_port = free_port()
        self._mapped_by = mapped_by
        epmd = mapped_by._ports["epmd"] if mapped_by else free_port()
        self._ports: dict[str, int] = {"dist": free_port(), "epmd": epmd}
        self.cookie: str = mapped_by.cookie if mapped_by else secrets.token_hex(16)
        self.certificates = Certificates(self._directory)
        self._write_configuration()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.port}"

    @property
    def node(self) -> str:
        return f"test{self.port}@localhost"

    @property
    def tls_url(self) -> str:
        return f"amqps://localhost:{self.tls_port}"

    def _write_configuration(self) -> None:
        lines = [
            f"listeners.tcp.local = 127.0.0.1:{self.port}",
            f"listeners.ssl.local = 127.0.0.1:{self.tls_port}",
            f"ssl_options.cacertfile = {self.certificates.authority}",
            f"ssl_options.certfile = {self.certificates.server}",
            f"ssl_options.keyfile = {self.certificates.server_key}",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = true",
            "vm_memory_high_watermark.absolute = 2GB",
        ]
        if QUEUE_TYPE:
            lines.append(f"default_queue_type = {QUEUE_TYPE}")
        if self._takes_certificates:
            lines += [
                "auth_mechanisms.1 = PLAIN",
                "auth_mechanisms.2 = EXTERNAL",
                "ssl_cert_login_from = subject_alternative_name",
                "ssl_cert_login_san_type = email",
            ]
            (self._directory / "plugins").write_text("[rabbitmq_auth_mechanism_ssl].\n")
        (self._directory / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        cookie = self._directory / ".erlang.cookie"
        cookie.write_text(self.cookie)
        cookie.chmod(0o400)

    @property
    def _environment(self) -> dict[str, str]:
        directory = self._directory
        return os.environ | {
            "HOME": str(directory),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._ports["dist"]),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+sbwt none +sbwtdcpu none +sbwtdio none "
                "-kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl and return what it prints."""
        done = subprocess.run(
            [str(self._script.with_name("rabbitmqctl")), "--quiet", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        )
        return done.stdout

    def evaluate(self, code: str) -> None:
        """Evaluate Erlang in the node; rabbitmqctl would begin an Erlang of its own for it."""
        attempt = partial(
            subprocess.run,
            [program("erl_call"), "-n", self.node, "-e"],
            env=self._environment,
            input=f"{code}.\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        attempts = (attempt() for _ in range(ERL_CALL_ATTEMPTS))
        done = next((done for done in attempts if done.returncode == 0), None)
        assert done is not None
        assert done.stdout.startswith("{ok,"), done.stdout

    def change_account(self, command: str, *arguments: str) -> None:
        """Do what rabbitmqctl's command of that name does: add_user, set_permissions and the like.

        Args:
            command: its name.
            arguments: its arguments; the virtual host is '/'.
        """
        user, *others = arguments
        host = ["/"] if "permissions" in command else []
        given = ", ".join(_binary(text) for text in (user, *host, *others, "test"))
        self.evaluate(f"ok = rabbit_auth_backend_internal:{command}({given})")

    def join(self, other: "RabbitMqServer") -> None:
        """Make a cluster with another node, whose data it takes."""
        self.control("stop_app")
        self.control("join_cluster", other.node)
        self.control("start_app")

    def discover(self, nodes: "Sequence[RabbitMqServer]") -> None:
        """Form a cluster with these nodes at the first start, of which a minority pauses."""
        lines = [
            "cluster_partition_handling = pause_minority",
            "cluster_formation.peer_discovery_backend = classic_config",
        ]
        names = enumerate((node.node for node in nodes), start=1)
        lines += [f"cluster_formation.classic_config.nodes.{i} = {name}" for i, name in names]
        with (self._directory / "rabbitmq.conf").open("a") as configuration:
            configuration.writelines(f"{line}\n" for line in lines)

    def part_from(self, *nodes: "RabbitMqServer") -> None:
        """Cut the ways to other nodes of its cluster: they refuse its cookie."""
        steps = [
            f"erlang:set_cookie('{other.node}', none), erlang:disconnect_node('{other.node}')"
            for other in nodes
        ]
        self.evaluate(", ".join(steps))

    def return_to(self, *nodes: "RabbitMqServer") -> None:
        """Mend the ways to other nodes."""
        steps = [f"erlang:set_cookie('{other.node}', '{self.cookie}')" for other in nodes]
        self.evaluate(", ".join(steps))

    def permit(self, user: str, *, configure: str = "", write: str = "", read: str = "") -> None:
        """Restrict a user to the queues and exchanges of these patterns."""
        self.change_account("set_permissions", user, configure, write, read)

    def sync(self) -> None:
        """Have it write what it writes some seconds late.

        It can't use a quorum queue again that was declared just before it is killed. A classic one
        may be gone, with messages that it has confirmed (3.10 on a busy machine).
        """
        self.evaluate("catch mnesia:dump_log(), [dets:sync(Table) || Table <- dets:all()]")

    def limit_messages(self, size: int) -> None:
        """Refuse larger messages, on new channels; RabbitMQ 4 reads the limit at its start only."""
        for place in ("application:set_env(rabbit, ", "persistent_term:put("):
            self.evaluate(f"{place}max_message_size, {size})")

    def suspend_queue(self, queue: str) -> None:
        """Have a queue answer nothing, as a quorum queue without a leader."""
        self._with_queue(queue, "sys:suspend(amqqueue:get_pid(Q))")

    def resume_queue(self, queue: str) -> None:
        self._with_queue(queue, "sys:resume(amqqueue:get_pid(Q))")

    def delete_queue_of_another(self, queue: str) -> None:
        """Delete a queue that a living connection has for itself."""
        self._with_queue(queue, 'rabbit_amqqueue:delete(Q, false, false, <<"test">>)')

    def _with_queue(self, queue: str, work: str) -> None:
        name = f'rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)'
        self.evaluate(f"{{ok, Q}} = rabbit_amqqueue:lookup({name}), {work}")

    @contextlib.contextmanager
    def account(self, **permissions: str) -> Iterator[str]:
        """Create a user with that name and password, with these permissions, around a block."""
        user = f"user-{secrets.token_hex(4)}"
        self.change_account("add_user", user, user)
        self.permit(user, **permissions)
        try:
            yield user
        finally:
            self.change_account("delete_user", user)

    @contextlib.contextmanager
    def without_delivery_limit(self, queue: str) -> Iterator[None]:
        """Let a queue have a message back again and again around a block, as a classic one does."""
        if QUEUE_TYPE != "quorum":
            yield
            return
        self.control("set_policy", queue, f"^{queue}$", '{"delivery-limit": -1}')
        try:
            yield
        finally:
            self.control("clear_policy", queue)

    @contextlib.asynccontextmanager
    async def low_on(self, resource: Literal["memory", "disk"]) -> AsyncIterator[None]:
        """Raise the alarm of a resource during a block."""
        begin, end = _ALARMS[resource]
        await asyncio.to_thread(self.control, *begin)
        try:
            yield
        finally:
            await asyncio.to_thread(self.control, *end)

    def start(self) -> None:
        directory = self._directory
        with (directory / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [str(self._script)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=directory,  # For what Erlang leaves there when it crashes.
                start_new_session=True,  # So that the script's children end with it.
            )
        self.wait_until_listening()

    def wait_until_listening(self) -> None:
        """Wait until it takes connections."""
        self._wait_for_port(self.port)
        self._wait_for_port(self.tls_port)

    def _wait_for_port(self, port: int) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), timeout=1),
            ):
                return
            time.sleep(0.05)
        pytest.fail("RabbitMQ did not start:\n" + (self._directory / "output").read_text())

    def delete_queues(self, *names: str) -> None:
        """Delete queues, whether they exist or not."""
        asyncio.run(self._delete_queues(names))

    async def _delete_queues(self, names: tuple[str, ...]) -> None:
        async with await aio_pika.connect(self.url) as connection:
            channel = await connection.channel()
            for name in names:
                await channel.queue_delete(name)

    def kill(self) -> None:
        """End it as kill -9 does; its data stay."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            self.wait_until_gone()

    def wait_until_gone(self) -> None:
        """Wait until it takes no connection: Erlang is a child of the script, and ends after it."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                return
            time.sleep(0.01)
        pytest.fail("RabbitMQ does not end")

    def stop(self) -> None:
        self.kill()

    def remove(self) -> None:
        self.kill()
        if self._mapped_by is None:
            self._kill_port_mapper()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _kill_port_mapper(self) -> None:
        """End the epmd that Erlang has left behind, once it has noticed the node's death."""
        environment = {**os.environ, "ERL_EPMD_PORT": str(self._ports["epmd"])}
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            asked = subprocess.run(
                [program("epmd"), "-kill"],
                env=environment,
                capture_output=True,
                check=False,
                timeout=10,
            )
            if b"Killed" in asked.stdout or b"Cannot connect" in asked.stderr:
                return
            time.sleep(0.05)
