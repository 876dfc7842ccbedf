"""What the tests of Milvus share: random vectors by passage id, and servers that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from storage_helpers import HashEncoder

from indexes.build import build_index
from indexes.index import Index
from indexes.passage import Passage

REASON = 'needs pip install "selfrag[milvus]"'
DIMENSION = 12


class RandomEncoder(HashEncoder):
    """A random vector for each number: that of a passage's id, or a query."""

    def __init__(self, similarity: str = "dot") -> None:
        super().__init__(DIMENSION, similarity, f"random-{similarity}")

    def encode_texts(self, texts: Any) -> npt.NDArray[np.float32]:
        rows = [np.random.default_rng(int(text)).standard_normal(DIMENSION) for text in texts]
        matrix = np.array(rows, dtype=np.float32).reshape(len(texts), DIMENSION)
        if self.normalise:
            matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
        return matrix

    def encode_passages(self, passages: list[Passage]) -> npt.NDArray[np.float32]:
        return self.encode_texts([passage.id for passage in passages])


def make_index(folder: Path, rows: int, similarity: str = "dot") -> Index:
    passages = [Passage(str(number), "", f"word{number}") for number in range(rows)]
    build_index(passages, folder, encoder=RandomEncoder(similarity), factory="Flat")
    return Index.open(folder)


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[str]:
    """An address of Milvus Lite where nothing is yet."""
    pytest.importorskip("pymilvus", reason=REASON)
    manager = pytest.importorskip("milvus_lite.server_manager", reason=REASON)
    uri = str(tmp_path / "vectors.db")
    yield uri
    manager.server_manager_instance.release_server(uri)


@contextmanager
def fake_server(answer: Callable[[str, Any], bytes]) -> Iterator[str]:
    """A gRPC server on this machine that answers every request by `answer(method, context)`."""
    grpc = pytest.importorskip("grpc", reason=REASON)

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            name = details.method.rsplit("/", 1)[-1]
            return grpc.unary_unary_rpc_method_handler(lambda _, context: answer(name, context))

    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that lets one in and then answers nothing."""
    released = threading.Event()

    def answer(method: str, context: Any) -> bytes:
        if method != "Connect":
            released.wait(60)
        return b""

    with fake_server(answer) as uri:
        try:
            yield uri
        finally:
            released.set()
