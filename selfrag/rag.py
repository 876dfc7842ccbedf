"""`SelfRAG`: a model, a retriever and the faces through which questions are asked.

Every face (call, batch, stream, and their async twins) submits jobs to one scheduler; none has
logic of its own.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from decoding.backend import Backend, Closeable, resumes_cheaply
from decoding.codec import PromptCodec
from decoding.config import DecodingConfig
from decoding.prompt import PromptBuilder
from indexes.passage import Passage
from retrievers.base import Retriever
from selfrag.answer import Answer, Budget, Question
from selfrag.calibration import Calibration
from selfrag.controller import answer_question
from selfrag.controller.inquiry import Inquiry
from selfrag.events import Event, EventLog
from selfrag.expansions import CACHE_BYTES, ExpansionStore, StoreMode
from selfrag.job import Job
from selfrag.passing_thread import in_passing
from selfrag.replay import ReplayBackend
from selfrag.scheduler import Scheduler

if TYPE_CHECKING:
    from selfrag.backends.precision import Precision
    from selfrag.tool import Tool

ASSETS = Path(__file__).parent / "assets"
EMBEDDED_MODEL = ASSETS / "selfrag-mini"
EMBEDDED_INDEX = ASSETS / "index"
EMBEDDED_RETRIEVER: dict[str, Any] = {
    "hybrid": {"dense": {}, "bm25": {}, "method": "weighted", "weights": [0.8, 0.2]}
}
"""How the embedded index is searched: its encoder was trained on questions for such passages."""

Passages = Sequence[Passage | Mapping[str, Any]]


class SelfRAG:
    """Answers questions with a reflection-token model; build it with `from_pretrained`.

    Args:
        backend: what decodes; it must give exact probabilities of chosen ids.
        prompts: builds prompts for the model's tokenizer.
        retriever: finds passages, or None when every question brings its own.
        config: settings of every question that brings none.
        calibration: thresholds stored with the model.
        store: expansions to record, replay or cache.
        description: what `describe` reports.
    """

    def __init__(
        self,
        backend: Backend,
        prompts: PromptBuilder,
        retriever: Retriever | None = None,
        *,
        config: DecodingConfig | None = None,
        calibration: Calibration | None = None,
        store: ExpansionStore | None = None,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(backend, Backend):
            raise TypeError(
                f"{type(backend).__name__} is no decoding.backend.Backend: it must decode "
                "greedily with exact log-probabilities of chosen token ids."
            )
        self.config = config or DecodingConfig()
        if store is not None and store.mode == "record":
            self.config = self.config.replace(prune=False)
        self.retriever = retriever
        self._prompts = prompts
        self._calibration = calibration or Calibration()
        self._calibrated_prompts = prompts.scaled(self._calibration.scalings)
        self._backend = backend
        self._scheduler = Scheduler(backend, store)
        self._recording = store is not None and store.mode == "record"
        self._description = dict(description or {})

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path | None = None,
        *,
        index: str | Path | None = None,
        retriever: Retriever | None = None,
        device: str = "auto",
        dtype: str = "auto",
        config: DecodingConfig | None = None,
        calibration: Calibration | None = None,
        precision: Precision | None = None,
        engine: str = "batched",
        cache: str | Path | None = None,
        record: str | Path | None = None,
        replay: str | Path | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> SelfRAG:
        """Load a model and an index.

        Args:
            model: checkpoint folder or hub name; None is the embedded selfrag-mini.
            index: index folder; None is the embedded corpus. Ignored with `retriever`.
            retriever: any `retrievers.base.Retriever`, in place of an index.
            device, dtype: see `selfrag.backends.checkpoint.load_checkpoint`.
            config: default settings of every question.
            calibration: in place of the one that is stored with the model.
            precision: weights in fewer bits; see `selfrag.backends.precision`.
            engine: "batched"; "reference", one full forward pass for every token of any causal
                model; "vllm"; the address of a server of it; a GGUF file (docs/engines.md).
            cache: sqlite file of expansions, served from and added to.
            record: the same for a complete recording (nothing is pruned).
            replay: a recording that answers everything; no weights are loaded.
            cache_bytes: how large a cache may grow; what was not used for longest goes first.
                Recordings are never shortened.
        """
        from selfrag.backends import engines
        from selfrag.backends.checkpoint import load_checkpoint

        engines.check_engine(engine, precision, replayed=replay is not None)
        store = _open_store(cache, record, replay, cache_bytes)
        folder = EMBEDDED_MODEL if model is None else model
        weights = replay is None and engines.needs_weights(engine)
        checkpoint = in_passing(
            lambda: load_checkpoint(
                folder, device=device, dtype=dtype, precision=precision, weights=weights
            )
        )
        if replay is None:
            backend = in_passing(lambda: engines.open_engine(engine, checkpoint))
        else:
            name = engines.fingerprint_of(engine, checkpoint)
            backend = ReplayBackend(name, checkpoint.context_limit)
        if retriever is None:
            from retrievers import open_retriever

            if index is None:
                retriever = open_retriever(EMBEDDED_INDEX, EMBEDDED_RETRIEVER)
            else:
                retriever = open_retriever(Path(index))
        calibration = checkpoint.calibration if calibration is None else calibration
        description = {
            "model": "selfrag-mini (embedded)" if model is None else str(model),
            "fingerprint": backend.fingerprint,
            "device": checkpoint.device,
            "dtype": checkpoint.dtype,
            "precision": precision,
            "context_limit": backend.context_limit,
            "engine": engine if replay is None else "replay",
            "index": "embedded" if index is None else str(index),
            "calibrated": calibration.relevance is not None,
        }
        codec = PromptCodec(checkpoint.tokenizer, checkpoint.vocabulary)
        return cls(
            backend,
            PromptBuilder(codec, checkpoint.vocabulary),
            retriever,
            config=config,
            calibration=calibration,
            store=store,
            description=description,
        )

    def ask(
        self,
        question: str | Question,
        *,
        passages: Passages | None = None,
        options: Mapping[str, str] | Sequence[str] | None = None,
        config: DecodingConfig | None = None,
        budget: Budget | None = None,
    ) -> Answer:
        """Answer one question.

        Args:
            question: its text, or a `Question`.
            passages: passages to use in place of the retriever: `Passage` values or dicts with
                `title` and `text`.
            options: a closed set: key -> text, or a list (keys A, B, C …).
            config: settings for this question alone.
            budget: hard limits; when one is reached the best so far comes back and says so.
        """
        job = self._job(_question(question, passages, options), config, budget)
        return self._wait(job, self._scheduler.submit(job))

    def ask_many(
        self,
        questions: Sequence[str | Question],
        *,
        config: DecodingConfig | None = None,
        budget: Budget | None = None,
    ) -> list[Answer]:
        """Answer several questions at once, in order; they share the model's batch."""
        jobs = [self._job(_question(question), config, budget) for question in questions]
        futures = [self._scheduler.submit(job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for job in jobs:
                self._scheduler.cancel(job)
            raise

    async def aask(
        self,
        question: str | Question,
        *,
        passages: Passages | None = None,
        options: Mapping[str, str] | Sequence[str] | None = None,
        config: DecodingConfig | None = None,
        budget: Budget | None = None,
    ) -> Answer:
        """`ask`, awaitable; cancelling the task calls the work off."""
        job = self._job(_question(question, passages, options), config, budget)
        future = self._scheduler.submit(job)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._scheduler.cancel(job)
            raise

    def stream(
        self,
        question: str | Question,
        *,
        passages: Passages | None = None,
        options: Mapping[str, str] | Sequence[str] | None = None,
        config: DecodingConfig | None = None,
        budget: Budget | None = None,
    ) -> Iterator[Event]:
        """Events of one question as they happen, `run.finished` last; closing it cancels."""
        events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        job = self._job(_question(question, passages, options), config, budget, events.put)
        future = self._scheduler.submit(job)
        future.add_done_callback(lambda _: events.put(None))
        try:
            while (event := events.get()) is not None:
                yield event
            future.result()
        finally:
            self._scheduler.cancel(job)

    async def astream(
        self,
        question: str | Question,
        *,
        passages: Passages | None = None,
        options: Mapping[str, str] | Sequence[str] | None = None,
        config: DecodingConfig | None = None,
        budget: Budget | None = None,
    ) -> AsyncIterator[Event]:
        """`stream` as an async iterator."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        def forward(event: Event | None) -> None:
            with suppress(RuntimeError):  # the loop was closed before the iterator was
                loop.call_soon_threadsafe(events.put_nowait, event)

        job = self._job(_question(question, passages, options), config, budget, forward)
        future = self._scheduler.submit(job)
        future.add_done_callback(lambda _: forward(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            future.result()
        finally:
            self._scheduler.cancel(job)

    def as_tool(self) -> Tool:
        """This object as a tool for agent loops: OpenAI and Anthropic schemas, and a callable."""
        from selfrag.tool import Tool

        return Tool(self)

    def describe(self) -> dict[str, Any]:
        """Model, device, dtype, context limit and index, as plain data."""
        return dict(self._description)

    def close(self) -> None:
        """Cancel what runs, free the worker and the engine; asking afterwards raises `Closed`."""
        self._scheduler.close()
        if isinstance(self._backend, Closeable):
            self._backend.close()

    def __enter__(self) -> SelfRAG:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _job(
        self,
        question: Question,
        config: DecodingConfig | None,
        budget: Budget | None,
        listener: Callable[[Event], None] | None = None,
    ) -> Job:
        """A job for the scheduler; nothing has run yet."""
        from retrievers.given import GivenPassages

        settings, limits = config or self.config, budget or Budget()
        own = settings.procedure == "paper"
        if settings.w_ret is None:
            settings = settings.replace(w_ret=(self._calibration.w_ret if own else None) or 0.0)
        if own:
            settings = self._calibration.completed(settings)
        if settings.query is None:
            settings = settings.replace(query=self._calibration.query or "question+segment")
        if self._recording and settings.prune:
            settings = settings.replace(prune=False)
        log = EventLog(listener)
        inquiry = Inquiry(
            question=question,
            config=settings,
            budget=limits,
            calibration=self._calibration,
            prompts=self._calibrated_prompts if own else self._prompts,
            context_limit=self._backend.context_limit,
            resumes_cheaply=resumes_cheaply(self._backend),
            log=log,
        )
        given = question.passages
        return Job(
            steps=answer_question(inquiry),
            retriever=self.retriever if given is None else GivenPassages(given),
            log=log,
            retrieval_timeout=settings.retrieval_timeout,
            decode=self._prompts.codec.decode,
            max_seconds=limits.max_seconds,
        )

    def _wait(self, job: Job, future: Future[Answer]) -> Answer:
        """The future's answer; an interrupted wait calls the work off."""
        try:
            return future.result()
        except (KeyboardInterrupt, CancelledError):
            self._scheduler.cancel(job)
            raise


def _question(
    question: str | Question,
    passages: Passages | None = None,
    options: Mapping[str, str] | Sequence[str] | None = None,
) -> Question:
    """One `Question` from what a caller gave."""
    made = question if isinstance(question, Question) else Question(question)
    if passages is not None:
        made = replace(made, passages=_passages(passages))
    if options is not None:
        if not isinstance(options, Mapping):
            options = {chr(ord("A") + index): text for index, text in enumerate(options)}
        if len(options) < 2:
            raise ValueError(f"a closed set needs at least two options, got {len(options)}")
        made = replace(made, options=dict(options))
    return made


def _passages(passages: Passages) -> tuple[Passage, ...]:
    from retrievers.given import GivenPassages

    return tuple(hit.passage for hit in GivenPassages(passages).search("", len(passages) or 1))


def _open_store(
    cache: str | Path | None,
    record: str | Path | None,
    replay: str | Path | None,
    cache_bytes: int,
) -> ExpansionStore | None:
    """The one store that was asked for."""
    modes: dict[StoreMode, str | Path | None] = {
        "cache": cache,
        "record": record,
        "replay": replay,
    }
    given = [(mode, path) for mode, path in modes.items() if path is not None]
    if len(given) > 1:
        names = ", ".join(mode for mode, _ in given)
        raise ValueError(f"got {names}; give one of cache, record and replay")
    if not given:
        return None
    mode, path = given[0]
    return ExpansionStore(path, mode, max_bytes=cache_bytes)
