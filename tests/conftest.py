"""Fixtures of all tiers."""

import os
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from blockbuster import blockbuster_ctx

from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.topics import commands, registry
from tests.support import coverage, leftovers, programs
from tests.support.link import Link
from tests.support.outbound import DiallingAsterisk
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitMqServer
from tests.support.servers import PASSWORD, Asterisk, BusServer, NatsServer
from tests.support.setting import Setting, serving

# A property's example may be slow on a shared machine; and importing it here, not at the end of the
# session, avoids a bug in CPython 3.11's parser.
hypothesis.settings.register_profile(
    "ari-proxy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ari-proxy")

sys.addaudithook(programs.refuse_unchecked)
leftovers.end_with_this_process()

#: Where the event loop may be blocked: the end of a file's path, and functions in it.
MAY_BLOCK = [
    # The settings are read before the loop runs; tests do it within.
    ("ari_proxy/settings/load.py", {"load"}),
    # Secrets and certificates are small files of this machine, read again since they may change.
    ("ari_proxy/settings/files.py", {"read_bytes"}),
    ("ari_proxy/connections/certificates.py", {"_read_stamps", "client_context"}),
    ("ari_proxy/connections/tls.py", {"server_context"}),
    ("ari_proxy/bus/nats/account_files.py", {"_content"}),
    ("ari_proxy/ingest/lease/kubernetes_api.py", {"leases", "headers", "tls"}),
    # nats-py reads them too, when it logs in.
    ("nats/aio/client.py", {"_get_nkeys_seed", "_read_creds_user_jwt", "_read_creds_user_nkey"}),
    # So are the configuration of a cluster and its certificates, once, before anything is asked.
    ("lightkube/config/kubeconfig.py", {"from_env", "from_file", "from_service_account"}),
    ("lightkube/config/client_adapter.py", {"verify_cluster"}),
    # The console's pages, once, before anything is served.
    ("ari_proxy/admin/console/console.py", {"_serving"}),
    # Lines of code in the traceback of an error that is logged on a terminal.
    ("rich/traceback.py", {"_render_stack"}),
]

for name in [name for name in os.environ if name.startswith("ARI_PROXY_")]:
    if name != "ARI_PROXY_REQUIRE":
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_ours_blocks_the_loop() -> Iterator[None]:
    """Fail a test whose event loop our code blocks, directly or through a library."""
    with blockbuster_ctx("ari_proxy") as guard:
        for function in guard.functions.values():
            for file, functions in MAY_BLOCK:
                function.can_block_in(file, functions)
        yield


#: For a test that may start RabbitMQ, and start it again: on a busy machine each takes 30 s.
RABBITMQ_SECONDS = 180


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the servers that they need, before `-m` selects by the marks."""
    for item in items:
        if coverage.needs_no_server(item.nodeid):
            item.add_marker("no_server")
        elif uses_rabbitmq(item):
            item.add_marker("rabbitmq")
            if not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(RABBITMQ_SECONDS))
            if "contract" in item.path.parts:
                item.add_marker("every_rabbitmq")


def uses_rabbitmq(item: pytest.Item) -> bool:
    """Return whether a test runs RabbitMQ, by its module, name, fixtures and parameters."""
    name, _, parameters = item.nodeid.partition("[")
    names = [name, *getattr(item, "fixturenames", ())]
    return any("rabbitmq" in name for name in names) or "rabbitmq" in re.split(r"[-\]]", parameters)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail any test whose logs contain Asterisk's password."""
    report = yield
    if call.when == "call" and any(PASSWORD in text for _, _, text in item._report_sections):
        report.outcome = "failed"
        report.longrepr = "the logs of this test show Asterisk's password"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report skips: one line for each program that this machine lacks."""
    skipped = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    )
    if skipped:
        terminalreporter.section("skipped")
    for reason, count in sorted(skipped.items()):
        terminalreporter.write_line(f"{count} skipped: {reason}")


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A nats-server for all tests that leave it running."""
    server = NatsServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_nats_server() -> Iterator[NatsServer]:
    """A nats-server that the test may stop and start."""
    server = NatsServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_jetstream_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server with JetStream that the test may stop and start."""
    server = NatsServer("-js", "-sd", str(tmp_path))
    server.start()
    yield server
    server.stop()


def topics_of(server: str) -> list[str]:
    """The queues of a server on RabbitMQ."""
    return [commands(ServerId(server)), registry(ServerId(server))]


def running_node() -> Iterator[RabbitMqServer]:
    server = RabbitMqServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMqServer]:
    """A RabbitMQ node for all tests that leave it running."""
    yield from running_node()


@pytest.fixture(scope="session")
def own_rabbitmq_server() -> Iterator[RabbitMqServer]:
    """A RabbitMQ node that tests may kill; they leave it running."""
    yield from running_node()


@pytest.fixture
def rabbitmq_link(rabbitmq_server: RabbitMqServer) -> Iterator[Link]:
    """A link to RabbitMQ that the test may cut and mend."""
    link = Link(rabbitmq_server.port)
    link.start()
    yield link
    link.remove()
    # What outlives a test and has the same name in all of them.
    rabbitmq_server.delete_queues(
        *("demo", "ari-proxy-demo"),
        *("campaign", "ivr", "queue", "transfer", "voicemail"),
        *topics_of("server-1"),
        *topics_of("asterisk-1"),
        *topics_of("asterisk"),
    )


@pytest.fixture(params=["nats", "rabbitmq"])
def bus_server(request: pytest.FixtureRequest) -> BusServer:
    """A bus that the test leaves running."""
    name = {"nats": "nats_server", "rabbitmq": "rabbitmq_link"}[request.param]
    server: BusServer = request.getfixturevalue(name)
    return server


@pytest.fixture(params=["nats", "rabbitmq"])
def own_bus_server(request: pytest.FixtureRequest) -> BusServer:
    """A bus that the test may stop and start."""
    name = {"nats": "own_nats_server", "rabbitmq": "rabbitmq_link"}[request.param]
    server: BusServer = request.getfixturevalue(name)
    return server


@pytest.fixture
async def proxy(bus_server: BusServer) -> AsyncIterator[Setting]:
    """Ingest and command on a bus, and a scripted Asterisk."""
    async with serving(bus_server) as setting:
        yield setting


def running_asterisk(server: Asterisk) -> Iterator[Asterisk]:
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def asterisk_22() -> Iterator[Asterisk]:
    yield from running_asterisk(Asterisk("22", sip=True))


@pytest.fixture(scope="session")
def asterisk_16() -> Iterator[Asterisk]:
    yield from running_asterisk(Asterisk("16", sip=True))


@pytest.fixture(scope="session")
def dialling_asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """Asterisk 22 that opens websockets for `demo` and for commands, for one test after another."""
    directory = tmp_path_factory.mktemp("dialling")
    yield from running_asterisk(
        DiallingAsterisk(directory, free_port(), applications=("demo",), sip=True)
    )


@pytest.fixture(scope="session", params=["22", "16"], ids=["asterisk22", "asterisk16"])
def asterisk(request: pytest.FixtureRequest) -> Asterisk:
    """A real Asterisk for all tests that leave it running; each has its own application."""
    server: Asterisk = request.getfixturevalue(f"asterisk_{request.param}")
    return server
