"""Serves the page to this machine alone.

Nothing is ever written, and no address is turned into the name of a file: the answers are those of
`Answers`. The server listens on the loopback interface and refuses requests that name another
host, so that no page of the internet can reach it by pointing a host name of its own here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from astro_common.errors import ConfigurationError
from splus_hypercube.viewer.answers import Answer, Answers, RefusalError

__all__ = ["LOOPBACK", "PageServer"]

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """The server of the page.

    Parameters
    ----------
    answers : Answers
    port : int
        0 for any that is free.

    Raises
    ------
    ConfigurationError
        If the port is taken.
    """

    daemon_threads = True

    def __init__(self, answers: Answers, port: int = 0) -> None:
        self.answers = answers
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigurationError(
                "--port", f"{port} ({reason})", "a port that is free"
            ) from error

    @property
    def port(self) -> int:
        """Where it listens (int)."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Address of the page (str)."""
        return f"http://{LOOPBACK}:{self.port}/"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    # Seconds after which a connection on which nothing is asked is closed.
    timeout = 60.0
    server_version, sys_version = "splus-hypercube", ""

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def _serve(self, *, with_body: bool) -> None:
        try:
            self._send(200, self._answer(), with_body=with_body)
        except RefusalError as refusal:
            text = Answer("text/plain; charset=utf-8", str(refusal).encode())
            self._send(refusal.status, text, with_body=with_body)
        except (BrokenPipeError, ConnectionResetError):
            logger.debug("the browser went away")

    def _answer(self) -> Answer:
        port = self.server.port
        if self.headers.get("Host", "") not in {f"{LOOPBACK}:{port}", f"localhost:{port}"}:
            raise RefusalError(403, "this page is for this machine alone")
        try:
            address = urlsplit(self.path)
            query = dict(parse_qsl(address.query, max_num_fields=20, keep_blank_values=True))
        except ValueError as error:
            raise RefusalError(400, str(error)) from error
        return self.server.answers.to(address.path, query)

    def _send(self, status: int, answer: Answer, *, with_body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        logger.debug(format, *args)
