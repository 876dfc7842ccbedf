"""`selfrag doctor`: what is installed, which device there is, and whether each part loads."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from selfrag.cli.failures import hint_of
from selfrag.cli.loading import (
    Device,
    Dtype,
    IndexPath,
    Model,
    index_folder,
    open_selfrag,
    quiet_libraries,
)
from selfrag.cli.output import Output, note
from selfrag.errors import SelfRAGError

if TYPE_CHECKING:
    from selfrag.rag import SelfRAG

# Distribution and the module it is imported as.
PACKAGES = {
    "torch": "torch",
    "transformers": "transformers",
    "sentence-transformers": "sentence_transformers",
    "faiss-cpu": "faiss",
    "networkx": "networkx",
    "numpy": "numpy",
    "pyarrow": "pyarrow",
    "bm25s": "bm25s",
    "scipy": "scipy",
    "httpx2": "httpx2",
    "typer": "typer",
    "rich": "rich",
    "PyYAML": "yaml",
}

QUESTION = "What is the capital of France?"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, whether it went well, what was found, and what to do otherwise."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


def doctor(
    model: Model = None,
    index: IndexPath = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Check the installation part by part; exit code 1 when a part does not work."""
    output = Output(as_json=as_json)
    checks: list[Check] = []
    with output.guarded(), ExitStack() as stack:
        quiet_libraries()
        for name, task in _tasks(stack, model, index, device, dtype):
            check = _attempt(name, task)
            checks.append(check)
            if not as_json:
                output.raw(_line(check))
    ok = all(check.ok for check in checks)
    if as_json:
        output.line({"ok": ok, "checks": [asdict(check) for check in checks]})
    if not ok:
        note("At least one check failed.")
        raise typer.Exit(1)


def _tasks(
    stack: ExitStack, model: str | None, index: Path | None, device: str, dtype: str
) -> list[tuple[str, Callable[[], str]]]:
    def corpus() -> str:
        from indexes.index import Index

        return _pairs(Index.open(index_folder(index)).info())

    def encoder() -> str:
        from indexes.index import Index
        from retrievers.opening import load_encoder

        loaded = load_encoder(Index.open(index_folder(index)))
        return f"{loaded.name}, {loaded.dimension} dimensions, {loaded.similarity} similarity"

    def retrieval() -> str:
        from retrievers.opening import open_retriever

        hits = open_retriever(index_folder(index)).search(QUESTION, 1)
        return f"first passage: {hits[0].passage.title or hits[0].passage.id}" if hits else "no hit"

    opened: list[SelfRAG] = []

    def generator() -> str:
        rag = open_selfrag(model=model, index=index, device=device, dtype=dtype)
        opened.append(stack.enter_context(rag))
        return _pairs(rag.describe())

    def answer() -> str:
        if not opened:
            raise SelfRAGError("There is no model to ask.", "See the check above.")
        answer = opened[0].ask(QUESTION)
        if answer.status in ("refused", "failed"):
            raise SelfRAGError(
                f"The answer's status is {answer.status}.", "; ".join(answer.warnings)
            )
        return f"{QUESTION} {answer.text} ({answer.usage.seconds:.2f} s)"

    packages = [(f"package {name}", _package(name, home)) for name, home in PACKAGES.items()]
    return [
        ("selfrag", _versions),
        *packages,
        ("device", _device),
        ("index", corpus),
        ("encoder", encoder),
        ("retrieval", retrieval),
        ("model", generator),
        ("answer", answer),
    ]


def _attempt(name: str, task: Callable[[], str]) -> Check:
    try:
        return Check(name, True, task())
    except Exception as error:
        message = getattr(error, "message", None) or str(error)
        return Check(name, False, f"{type(error).__name__}: {message}", hint_of(error))


def _versions() -> str:
    from selfrag import __version__

    return f"{__version__}, Python {platform.python_version()}, {platform.platform()}"


def _package(name: str, home: str) -> Callable[[], str]:
    def check() -> str:
        import_module(home)
        return metadata.version(name)

    return check


def _device() -> str:
    import torch

    found = f"{torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return f"{found}, CUDA {torch.version.cuda}: {', '.join(names)}"
    return f"{found}, no CUDA device: {sys.platform} CPU"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def _line(check: Check) -> str:
    from selfrag.rendering import printable

    line = f"{'ok    ' if check.ok else 'FAILED'}  {check.name}: {check.detail}\n"
    return printable(line + (f"        hint: {check.hint}\n" if check.hint else ""))
