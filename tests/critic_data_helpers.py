"""A chat server of this machine that answers as it is told, and rows with known labels."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from indexes.passage import Passage
from selfrag.training.sources import SourceRow, SourceSegment

ODER = Passage("oder", "Oder", "The Oder is 854 km long. It rises in the Czech Republic.")
NEISSE = Passage("neisse", "Neisse", "The Neisse is 252 km long.")
VIOLA = Passage("viola", "Viola", "The viola is a string instrument.")

CHAIN = SourceRow(
    id="chain",
    instruction="Compare the rivers.",
    input="Oder and Neisse",
    segments=(
        SourceSegment("The Oder is 854 km long.", ("oder",)),
        SourceSegment("It rises in the Czech Republic.", ("oder",), continues=True),
        SourceSegment("The Neisse is 252 km long.", ("neisse",), relevant=("oder",)),
        SourceSegment("So the Oder is longer.", ()),
    ),
    dataset="rivers",
    utility=4,
    passages=(ODER, NEISSE, VIOLA),
)

Script = Callable[[dict[str, Any], int], "Scripted"]


class Scripted:
    """What the server does with a request: answer, or be silent until the test ends."""

    def __init__(
        self,
        body: str | bytes = "",
        status: int = 200,
        headers: dict[str, str] | None = None,
        *,
        silent: bool = False,
        missing: int = 0,
    ) -> None:
        self.body = body.encode() if isinstance(body, str) else body
        self.status, self.headers, self.silent = status, headers or {}, silent
        self.missing = missing


def completion(content: str | None, prompt: int = 100, written: int = 10) -> Scripted:
    usage = {"prompt_tokens": prompt, "completion_tokens": written}
    return Scripted(json.dumps({"choices": [{"message": {"content": content}}], "usage": usage}))


def label(word: str | int) -> Scripted:
    return completion(json.dumps({"label": word}))


class FakeChat:
    """The running server: `url`, and the bodies and headers of all requests so far."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []

    @property
    def asked(self) -> int:
        return len(self.bodies)


@contextmanager
def fake_chat(script: Script) -> Iterator[FakeChat]:
    """A server that asks the script, with a request's body and number, what to do."""
    ended, lock = threading.Event(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                chat.bodies.append(body)
                chat.headers.append(dict(self.headers))
                chat.paths.append(self.path)
                number = len(chat.bodies)
            scripted = script(body, number)
            if scripted.silent:
                ended.wait(30)
                self.close_connection = True
                return
            self.send_response(scripted.status)
            for name, value in scripted.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(scripted.body) + scripted.missing))
            self.end_headers()
            self.wfile.write(scripted.body)
            self.close_connection = bool(scripted.missing)

        def log_message(self, *values: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    chat = FakeChat(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield chat
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
