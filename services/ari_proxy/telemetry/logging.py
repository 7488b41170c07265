"""Logs: structlog, one format for our lines and those of libraries."""

import logging
import sys
from typing import Final

import structlog

#: Libraries with uninteresting lines at `info`.
_NOISY: Final = (
    "websockets",
    "nats.aio.client",
    "kopf.objects",
    "httpx2",
    "httpcore2",
)
#: Libraries whose messages repeat our own, with an account or once per queue.
_SILENT: Final = ("aiormq",)
#: Libraries with a warning for each peer that sends nonsense; admin/connections.py has a few.
_ABOUT_PEERS: Final = ("uvicorn",)
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def configure(*, level: str, form: str, component: str, server_id: str = "") -> None:
    """Configure the process's logging; lines go to standard error.

    Args:
        level: debug, info, warning or error; critical for none.
        form: json, console, or auto: console on a terminal.
        component: ingest, command, standalone, …
        server_id: of the only Asterisk server, or ''.
    """
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    if as_json:
        shared.append(structlog.processors.format_exc_info)
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if not as_json:
        # Not rich's tracebacks, which show the values of variables.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=plain)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # Not through the standard library, which doubles the cost of a line.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level])
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(_LEVELS[level], logging.WARNING))
    for library in _ABOUT_PEERS:
        logging.getLogger(library).setLevel(max(_LEVELS[level], logging.ERROR))
    for silent in _SILENT:
        logging.getLogger(silent).setLevel(logging.CRITICAL + 1)
    structlog.contextvars.bind_contextvars(component=component, server_id=server_id)
