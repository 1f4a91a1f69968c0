"""Stands between a client and a real MLflow server, and does to some of the requests what networks and proxies do."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>"


class FaultyProxy:
    """A server on 127.0.0.1 that hands requests on.

    Args:
        port: Of the MLflow server.

    Attributes:
        fault: What happens to the requests: "" for nothing, a status such as "502" for an answer of that status, "html"
            for a page where JSON was expected, "lost" for a request that is carried out and whose answer is not
            delivered, "reset" for a connection that is closed unanswered, "slow" for an answer after `seconds`.
        path: Only those whose path contains this are at fault.
        num_left: How many more are.
        num_requests: Of those at fault, how many there were.
    """

    def __init__(self, port: int) -> None:
        self.fault, self.path, self.num_left, self.seconds = "", "", 10**9, 5.0
        self.num_requests = 0
        self._server_port = port
        self._http = _Listener(("127.0.0.1", 0), _build_handler(self))
        self.uri = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def take_fault(self, path: str) -> str:
        """What is to happen to this request."""
        if not self.fault or self.path not in path or self.num_left <= 0:
            return ""
        self.num_left -= 1
        self.num_requests += 1
        return self.fault

    def hand_on(self, request: BaseHTTPRequestHandler) -> tuple[int, list[tuple[str, str]], bytes]:
        length = int(request.headers.get("Content-Length") or 0)
        connection = http.client.HTTPConnection("127.0.0.1", self._server_port, timeout=60)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
        connection.request(request.command, request.path, request.rfile.read(length), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), body


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, address: Any) -> None:
        """Clients that hang up are no news."""


def _build_handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            fault = proxy.take_fault(self.path)
            if fault == "reset":
                self.cut_off()
                return
            if fault == "slow":
                time.sleep(proxy.seconds)
            if fault.isdigit():
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.answer(int(fault), [("Content-Type", "text/html")], f"<h1>Error {fault}</h1>".encode())
                return
            if fault == "html":
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.answer(200, [("Content-Type", "text/html")], HTML)
                return
            status, headers, body = proxy.hand_on(self)
            if fault == "lost":
                self.cut_off()
                return
            self.answer(status, headers, body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def cut_off(self) -> None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return Handler
