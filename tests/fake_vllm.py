"""A server of vLLM's routes over real HTTP, with a tiny model behind it and faults on demand.

It does what vLLM 0.32 was seen to do: prompts as ids, exact log-probabilities of chosen ids beside
the written one, server-sent events, `[DONE]`. A fault is the name of a misbehaviour of one
completion request; they are used up in order, one for each request.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch


class FakeServer:
    """Serves `model`; start it with `running`, and change its attributes at any time.

    Attributes:
        faults: names of what goes wrong at the next completion requests, "" for nothing.
        exact: False ignores `logprob_token_ids` and gives the twenty most probable ids.
        bodies: every completion request that arrived.
        written: tokens that were computed.
        most: the largest number of completion requests that were under way at once.
        pause: seconds before each token.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str = "tiny") -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.context = int(model.config.max_position_embeddings)
        self.exact, self.key, self.pause = True, "", 0.0
        self.faults: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.written = self.most = self.now = self.starts = 0
        self.lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.starts += 1
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def running(self) -> Iterator[FakeServer]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @torch.inference_mode()
    def log_probabilities(self, ids: list[int]) -> torch.Tensor:
        with self.lock:
            logits = self.model(input_ids=torch.tensor([ids]), use_cache=False).logits
            found: torch.Tensor = logits[0, -1].float().log_softmax(-1)
            return found


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        fake = self.fake
        if self._refused():
            return
        assert self.path == "/v1/models"
        entry = {"id": fake.name, "root": f"/models/{fake.name}", "max_model_len": fake.context}
        self._answer(200, {"object": "list", "data": [entry]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        if self.path == "/tokenize":
            ids = self.fake.tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]
            self._answer(200, {"count": len(ids), "max_model_len": 1, "tokens": ids})
        else:
            assert self.path == "/v1/completions"
            with self.fake.lock:
                self.fake.bodies.append(body)
                self.fake.now += 1
                self.fake.most = max(self.fake.most, self.fake.now)
            try:
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._complete(body)
            finally:
                with self.fake.lock:
                    self.fake.now -= 1

    def _refused(self) -> bool:
        wanted = f"Bearer {self.fake.key}"
        if self.fake.key and self.headers.get("Authorization") != wanted:
            self._answer(401, {"error": {"message": "Unauthorized", "code": 401}})
            return True
        return False

    def _complete(self, body: dict[str, Any]) -> None:
        fake = self.fake
        fault = fake.faults.pop(0) if fake.faults else ""
        size = fake.model.config.vocab_size
        if body["logprobs"] is not None and max(body["logprob_token_ids"]) >= size:
            self._answer(400, {"error": {"message": "out-of-vocab token ids", "code": 400}})
            return
        if len(body["prompt"]) + body["max_tokens"] > fake.context:
            self._answer(400, {"error": {"message": "maximum context length", "code": 400}})
            return
        if fault.startswith("status "):
            self._answer(
                int(fault.split()[1]), {"error": {"message": "busy"}}, {"Retry-After": "0"}
            )
            return
        if fault == "timeout":
            time.sleep(1.0)
            return
        if fault == "late":
            time.sleep(0.2)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        ids, prompt, started = list(body["prompt"]), list(body["prompt"]), fake.starts
        for index in range(body["max_tokens"]):
            if fault == f"break {index}" or fake.starts != started:
                return
            if fault == f"error {index}":
                self._event({"error": {"message": "engine died", "code": 500}})
                return
            time.sleep(fake.pause)
            chunk, token = self._chunk(body, ids, fault)
            chunk["prompt_token_ids"] = prompt if index == 0 else None
            if fault == "other prompt":
                chunk["prompt_token_ids"] = [*prompt, 5]
            ids.append(token)
            ended = token in body["stop_token_ids"] or index + 1 == body["max_tokens"]
            chunk["finish_reason"] = "stop" if ended else None
            self._event({"id": "cmpl-1", "model": fake.name, "choices": [chunk]})
            if ended:
                break
        self.wfile.write(b"data: [DONE]\n\n")

    def _chunk(
        self, body: dict[str, Any], ids: list[int], fault: str
    ) -> tuple[dict[str, Any], int]:
        fake = self.fake
        found = fake.log_probabilities(ids)
        fake.written += 1
        best = int(found.argmax())
        asked = body["logprob_token_ids"]
        if not fake.exact:
            asked = found.topk(20).indices.tolist()
        if fault == "fewer ids":
            asked = asked[1:]
        if fault == "other ids":
            asked = [token + 1 for token in asked]
        values = {f"token_id:{token}": float(found[token]) for token in (best, *asked)}
        if fault == "shifted":
            values = {name: value + 9.0 for name, value in values.items()}
        written = [*range(5)][best % 5] if fault == "sampled" else best
        if fault == "sampled":
            values[f"token_id:{written}"] = float(found[written])
        reading: dict[str, Any] | None = {
            "tokens": [f"token_id:{written}"],
            "token_logprobs": [values[f"token_id:{written}"]],
            "top_logprobs": [values],
            "text_offset": [0],
        }
        if fault == "no log-probabilities":
            reading = None
        return {"index": 0, "text": "", "logprobs": reading, "token_ids": [written]}, written

    def _event(self, values: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(values)}\n\n".encode())
        self.wfile.flush()

    def _answer(
        self, status: int, values: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        content = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
