"""Runs many controllers at once over one backend, in one thread.

The thread owns the backend and the store. Controllers are advanced as soon as what they asked for
is there; expansions of all questions share the backend's batch; retrievals run in threads of
their own with a timeout. Retry, timeout and time budgets live here and nowhere else. Every face
of the library (ask, stream, async, batch) submits a job and waits for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from decoding.backend import Backend
from decoding.generation import Draft
from decoding.resuming import continuation, joined, thawed, watching
from retrievers.base import Retriever
from retrievers.deadline import search_until
from selfrag.answer import Answer
from selfrag.errors import Closed, RecordingIncomplete
from selfrag.expansions import ExpansionStore
from selfrag.job import Job
from selfrag.requests import Branch, Expand, Expanded, Result, Retrieve, Retrieved

RETRIEVAL_ATTEMPTS = 2
"""How often a retriever that raises is asked before its failure becomes the result."""

_LONGEST_WAIT = 3600.0
"""Seconds after which an idle worker looks at its clocks; a queue refuses to wait for years."""


Message = tuple[Literal["start", "cancel", "retrieved", "close"], Any, Any]


class Scheduler:
    """Submit jobs from any thread; one worker thread does the work.

    Args:
        backend: what decodes.
        store: where expansions and retrievals are looked up and kept, or None.
    """

    def __init__(self, backend: Backend, store: ExpansionStore | None = None) -> None:
        self._backend = backend
        self._store = store
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._jobs: list[Job] = []
        self._turns = 0
        self._owners: dict[int, tuple[Job, int]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, job: Job) -> Future[Answer]:
        """Start a job; the future ends with its answer, an error, or cancelled."""
        with self._lock:
            if self._closed:
                raise Closed("This SelfRAG was closed.", "Load it again.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="selfrag", daemon=True)
                self._thread.start()
            self._inbox.put(("start", job, None))
        return job.future

    def cancel(self, job: Job) -> None:
        """Call a job off; its branches leave the batch and its future is cancelled."""
        self._inbox.put(("cancel", job, None))

    def close(self) -> None:
        """Cancel what runs, stop the thread and close the store."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._inbox.put(("close", None, None))
            thread.join()
        if self._store is not None:
            self._store.close()

    def _run(self) -> None:
        while True:
            busy = bool(self._owners)
            for message in self._messages(wait=not busy):
                if message[0] == "close":
                    for job in list(self._jobs):
                        self._fail(job, Closed("This SelfRAG was closed.", "Load it again."))
                    return
                self._handle(message)
            self._check_clocks()
            if self._owners:
                self._work()

    def _messages(self, *, wait: bool) -> list[Message]:
        """What has arrived; waits for the first one, or the next deadline, when idle."""
        messages: list[Message] = []
        try:
            if wait:
                clocks = [min(job.deadline, job.retrieval_deadline) for job in self._jobs]
                nearest = min(clocks, default=float("inf")) - time.monotonic()
                timeout = min(max(nearest, 0.0), _LONGEST_WAIT)
                messages.append(self._inbox.get(timeout=timeout))
            while True:
                messages.append(self._inbox.get_nowait())
        except queue.Empty:
            return messages

    def _handle(self, message: Message) -> None:
        kind, job, detail = message
        if kind == "start":
            self._turns += 1
            job.turn = self._turns
            self._jobs.append(job)
            self._advance(job, None)
        elif job not in self._jobs:
            return
        elif kind == "cancel":
            self._drop(job)
        elif kind == "retrieved":
            number, result = detail
            if number == job.retrieval and isinstance(job.request, Retrieve):
                self._guard(job, self._keep_hits, job, job.request, result)
                if job in self._jobs:
                    self._advance(job, result)

    def _work(self) -> None:
        """One step of the backend; finished drafts go to their jobs."""
        try:
            self._backend.step()
        except Exception as error:
            for job in list(self._jobs):
                if job.tickets:
                    self._fail(job, error)
            return
        for job in list(self._jobs):
            if job.log.active and job.tickets:
                self._guard(job, self._report_progress, job)
        for ticket, draft in self._backend.poll():
            owner = self._owners.pop(ticket, None)
            if owner is None:
                continue
            job, index = owner
            del job.tickets[index]
            self._guard(job, self._receive, job, index, draft)
            if not job.tickets and job in self._jobs:
                self._advance(job, self._expanded(job))

    def _receive(self, job: Job, index: int, draft: Draft) -> None:
        """Take one draft from the backend: join it to what it goes on from, and keep it."""
        assert isinstance(job.request, Expand)
        generation = job.request.branches[index].generation
        if index in job.starts:
            draft = joined(generation, job.starts[index], draft)
        if self._store is not None and job.storable:
            self._store.add_draft(self._backend.fingerprint, generation, draft)
        self._accept(job, index, draft)

    def _accept(self, job: Job, index: int, draft: Draft) -> None:
        """Take one draft of the job's running `Expand`."""
        assert isinstance(job.request, Expand)
        job.drafts[index] = draft
        if job.log.active:
            self._show(job, index, draft.token_ids, finished=True)
        if job.request.completed is not None:
            job.request.completed(index, draft)

    def _advance(self, job: Job, result: Result | None) -> None:
        """Send a result and serve what can be served at once, until the job has to wait."""
        while True:
            job.request, job.retrieval_deadline = None, float("inf")
            try:
                request = job.steps.send(result)
            except StopIteration as stop:
                self._finish(job, stop.value)
                return
            except Exception as error:
                self._fail(job, error)
                return
            job.request = request
            try:
                if isinstance(request, Expand):
                    result = self._start_expand(job, request)
                else:
                    result = self._start_retrieve(job, request)
            except Exception as error:
                self._fail(job, error)
                return
            if result is None:
                return

    def _start_expand(self, job: Job, request: Expand) -> Expanded | None:
        """Serve from the store or submit; the result where nothing has to be decoded."""
        job.drafts, job.starts = {}, {}
        job.cached = job.cached_tokens = job.model_calls = 0
        if all(branch.start is None for branch in request.branches):
            job.shown = {}
        if job.expired:
            empty = Draft((), (), {}, None, "cancelled")
            drafts = (branch.start or empty for branch in request.branches)
            ended = tuple(replace(draft, finish="cancelled") for draft in drafts)
            return Expanded(ended, interrupted=True)
        waiting = []
        for index, branch in enumerate(request.branches):
            draft = self._stored(job, branch)
            if draft is None:
                waiting.append(index)
            else:
                job.cached += 1
                self._accept(job, index, draft)
        for index in waiting:  # only now: a watcher knows all that is there already
            self._submit(job, index, request.branches[index])
        return None if job.tickets else self._expanded(job)

    def _stored(self, job: Job, branch: Branch) -> Draft | None:
        """What the store has of a branch, as far as it is the whole draft."""
        if self._store is None or not job.storable:
            return None
        draft = self._store.draft(self._backend.fingerprint, branch.generation)
        if draft is not None:
            held = 0 if branch.start is None else len(branch.start.token_ids)
            job.cached_tokens += len(draft.token_ids) - held
        return draft

    def _submit(self, job: Job, index: int, branch: Branch) -> None:
        """Hand a branch to the backend, from where it was left off if that is known."""
        start, generation, watch = branch.start, branch.generation, branch.watch
        if self._store is not None and job.storable:
            stored = self._store.beginning(self._backend.fingerprint, generation)
            held = 0 if start is None else len(start.token_ids)
            if stored is not None and len(stored.token_ids) > held:
                start = stored
                job.cached_tokens += len(stored.token_ids) - held
        if start is not None:
            if watch is not None and watch(thawed(start)):
                self._accept(job, index, replace(start, next_id=None, finish="cut"))
                return
            job.starts[index] = start
            generation = continuation(generation, start)
            watch = None if watch is None else watching(watch, start)
        ticket = self._backend.submit(replace(generation, turn=job.turn), watch)
        job.model_calls += 1
        job.tickets[index] = ticket
        self._owners[ticket] = (job, index)

    def _expanded(self, job: Job) -> Expanded:
        drafts = tuple(job.drafts[index] for index in range(len(job.drafts)))
        return Expanded(
            drafts, job.cached, job.cached_tokens, job.model_calls, job.expired, self._warnings()
        )

    def _warnings(self) -> tuple[str, ...]:
        """What happened to the store since the last time; some question has to tell."""
        return () if self._store is None else self._store.take_warnings()

    def _start_retrieve(self, job: Job, request: Retrieve) -> Retrieved | None:
        """Answer from the store, or start the retriever in a thread of its own."""
        if job.expired:
            return Retrieved((), interrupted=True)
        retriever = job.retriever
        if retriever is None:
            return Retrieved((), error="no index and no passages were given")
        if self._store is not None and job.storable:
            hits = self._store.hits(retriever.fingerprint, request.query, request.k)
            if hits is not None:
                return Retrieved(hits, warnings=self._warnings())
            if self._store.mode == "replay":
                raise RecordingIncomplete(
                    f"The recording has no retrieval for {request.query[:80]!r}.",
                    "Replay with the recorded question, index and settings.",
                )
        job.retrieval += 1
        job.retrieval_deadline = time.monotonic() + job.retrieval_timeout
        deadline = min(job.deadline, job.retrieval_deadline)
        arguments = (job, job.retrieval, retriever, request, deadline)
        threading.Thread(target=self._search, args=arguments, daemon=True).start()
        return None

    def _search(
        self, job: Job, number: int, retriever: Retriever, request: Retrieve, deadline: float
    ) -> None:
        """In a thread of its own: ask the retriever, once more if it raises."""
        result = Retrieved((), error="not asked")
        for _ in range(RETRIEVAL_ATTEMPTS):
            try:
                with search_until(deadline):
                    result = Retrieved(tuple(retriever.search(request.query, request.k)))
                break
            except Exception as error:
                result = Retrieved((), error=f"{type(error).__name__}: {error}")
        self._inbox.put(("retrieved", job, (number, result)))

    def _check_clocks(self) -> None:
        """End retrievals that take too long and jobs whose time is up."""
        now = time.monotonic()
        for job in list(self._jobs):
            if now >= job.deadline and not job.expired:
                job.expired = True
                if isinstance(job.request, Expand):
                    for ticket in list(job.tickets.values()):
                        self._backend.cancel(ticket)
                elif isinstance(job.request, Retrieve):
                    job.retrieval += 1
                    self._advance(job, Retrieved((), interrupted=True))
            elif now >= job.retrieval_deadline and isinstance(job.request, Retrieve):
                job.retrieval += 1
                message = f"no result within {job.retrieval_timeout:g} s"
                self._advance(job, Retrieved((), error=message))

    def _report_progress(self, job: Job) -> None:
        """Emit what each running branch has written since the last step."""
        for index, ticket in job.tickets.items():
            start = job.starts.get(index)
            before = () if start is None else start.token_ids
            self._show(job, index, (*before, *self._backend.progress(ticket)))

    @staticmethod
    def _show(job: Job, index: int, ids: Sequence[int], *, finished: bool = False) -> None:
        """Emit what is new in a branch's text; half a character waits for its other half."""
        assert isinstance(job.request, Expand)
        node = job.request.branches[index].node
        text, before = job.decode(tuple(ids)), job.shown.get(node, "")
        half = text.endswith("\N{REPLACEMENT CHARACTER}") and not finished
        if len(text) > len(before) and not half:
            job.shown[node] = text
            job.log.emit("token.delta", node=node, text=text[len(before) :])

    def _keep_hits(self, job: Job, request: Retrieve, result: Retrieved) -> None:
        """Store what a retriever found."""
        if self._store is None or not job.storable or result.error is not None:
            return
        fingerprint = "" if job.retriever is None else job.retriever.fingerprint
        self._store.add_hits(fingerprint, request.query, request.k, result.hits)

    def _finish(self, job: Job, answer: Answer) -> None:
        self._jobs.remove(job)
        if self._store is not None:
            self._guard(job, self._store.commit)
            told = (*answer.warnings, *self._warnings())
            answer = replace(answer, warnings=tuple(dict.fromkeys(told)))
        seconds = time.monotonic() - job.started
        with suppress(InvalidStateError):  # cancelled by its owner
            job.future.set_result(replace(answer, usage=replace(answer.usage, seconds=seconds)))

    def _fail(self, job: Job, error: BaseException) -> None:
        self._withdraw(job)
        with suppress(InvalidStateError):
            job.future.set_exception(error)

    def _drop(self, job: Job) -> None:
        self._withdraw(job)
        job.future.cancel()

    def _withdraw(self, job: Job) -> None:
        """Take a job's branches out of the batch and forget it."""
        if job in self._jobs:
            self._jobs.remove(job)
        for ticket in job.tickets.values():
            self._owners.pop(ticket, None)
            self._backend.cancel(ticket)
        job.tickets.clear()
        job.steps.close()

    def _guard(self, job: Job, action: Callable[..., None], *arguments: Any) -> None:
        """Run something that may fail; a failure ends the job and nothing else."""
        try:
            action(*arguments)
        except Exception as error:
            self._fail(job, error)
