"""A server gives what the reference gives, or a named error; never a wrong score."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
import torch
from engine_parity import assert_same, random_requests, run_all
from fake_vllm import FakeServer
from tiny_models import tiny_llama
from tiny_tokenizers import byte_level

from decoding.backend import Backend
from decoding.config import DecodingConfig
from decoding.errors import PromptTooLong
from decoding.generation import Draft, Generation
from decoding.reference import ReferenceEngine
from decoding.vocabulary import ReflectionVocabulary
from selfrag.backends.checkpoint import load_checkpoint
from selfrag.backends.errors import (
    EngineError,
    InexactEngine,
    ModelMismatch,
    ServerRefused,
    ServerUnreachable,
    WrongAnswer,
)
from selfrag.backends.served import ServedEngine
from selfrag.rag import EMBEDDED_MODEL, SelfRAG

CONTEXT = 128


@lru_cache
def parts() -> tuple[Any, ReflectionVocabulary, int]:
    tokenizer = byte_level(special=True)
    return tokenizer, ReflectionVocabulary.from_tokenizer(tokenizer), len(tokenizer)


@lru_cache
def model(seed: int = 0) -> Any:
    return tiny_llama(parts()[2], seed=seed, context=CONTEXT, initializer_range=0.25)


def requests(seed: int = 3, count: int = 12) -> list[Generation]:
    return random_requests(seed, count, parts()[2], parts()[1].read_ids)


def expected(generations: list[Generation]) -> list[Draft]:
    return run_all(ReferenceEngine(model(), fingerprint="tiny"), generations)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(model(), parts()[0]).running() as fake:
        yield fake


def open_engine(server: FakeServer, **options: Any) -> ServedEngine:
    tokenizer, vocabulary, _ = parts()
    settings = {"timeout": 5.0, "backoff": 0.001, **options}
    return ServedEngine.open(server.url, tokenizer=tokenizer, vocabulary=vocabulary, **settings)


@pytest.fixture
def engine(server: FakeServer) -> Iterator[ServedEngine]:
    made = open_engine(server)
    yield made
    made.close()


def test_equals_the_reference(engine: ServedEngine) -> None:
    assert isinstance(engine, Backend)
    generations = requests(count=24)
    drafts = expected(generations)
    for found, draft in zip(run_all(engine, generations), drafts, strict=True):
        assert_same(found, draft)
    assert len({draft.finish for draft in drafts}) == 3
    assert engine.context_limit == CONTEXT - 1


def test_one_stream_where_the_best_id_is_the_one_that_is_taken(
    server: FakeServer, engine: ServedEngine
) -> None:
    prompt, read = (3, 1, 4), parts()[1].read_ids
    (free,) = run_all(engine, [Generation(prompt, max_tokens=4, read_ids=read)])
    before = len(server.bodies)
    first = (free.token_ids[0], (free.token_ids[0] + 1) % 20)
    (draft,) = run_all(engine, [Generation(prompt, 4, first_ids=first, read_ids=read)])
    assert draft.token_ids == free.token_ids and draft.first_was_argmax
    assert len(server.bodies) == before + 1
    body = server.bodies[-1]
    assert body["prompt"] == list(prompt) and body["max_tokens"] == 5
    assert set(body["logprob_token_ids"]) == {*read, *first}
    assert body["skip_special_tokens"] is False and body["ignore_eos"] is True


def test_a_watch_ends_the_stream_on_the_server(server: FakeServer, engine: ServedEngine) -> None:
    server.pause, before = 0.02, server.written
    (draft,) = run_all(
        engine, [Generation((3, 1, 4), max_tokens=100)], [lambda p: len(p.token_ids) == 2]
    )
    assert draft.finish == "cut" and len(draft.token_ids) == 2 and draft.next_id is None
    run_all(engine, [Generation((3, 1, 4), max_tokens=10)])
    assert server.written - before < 60


def test_no_more_requests_at_once_than_allowed(server: FakeServer) -> None:
    server.pause = 0.01
    engine = open_engine(server, in_flight=3)
    server.most = 0
    generations = [Generation((3, index), max_tokens=3) for index in range(12)]
    for found, draft in zip(run_all(engine, generations), expected(generations), strict=True):
        assert_same(found, draft)
    assert 2 <= server.most <= 4  # a stream that was just ended may still be counted
    engine.close()


def test_cancel_and_progress(server: FakeServer, engine: ServedEngine) -> None:
    server.pause = 0.01
    ticket = engine.submit(Generation((3, 1, 4), max_tokens=100))
    while len(engine.progress(ticket)) < 3:
        engine.step()
    engine.cancel(ticket)
    ((found, draft),) = engine.poll()
    assert found == ticket and draft.finish == "cancelled" and len(draft.token_ids) >= 3
    assert engine.step() is False and engine.progress(ticket) == ()
    one = engine.submit(Generation((1,), max_tokens=1))
    engine.cancel(one)
    assert engine.poll()[0][1].finish == "cancelled"


@pytest.mark.parametrize(
    "fault",
    ["status 429", "status 500", "status 503", "break 0", "break 2", "error 1", "error 0", "late"],
)
def test_what_passes_is_tried_again(server: FakeServer, engine: ServedEngine, fault: str) -> None:
    generations = requests(7, 8)
    server.faults = [fault, "", fault, "", fault, fault]
    for found, draft in zip(run_all(engine, generations), expected(generations), strict=True):
        assert_same(found, draft)


def test_a_server_that_stays_silent_is_asked_again(server: FakeServer) -> None:
    engine = open_engine(server, timeout=0.3)
    server.faults = ["timeout"]
    generations = requests(7, 2)
    for found, draft in zip(run_all(engine, generations), expected(generations), strict=True):
        assert_same(found, draft)
    engine.close()


def test_a_restart_in_the_middle_changes_nothing(server: FakeServer, engine: ServedEngine) -> None:
    server.pause = 0.01
    generations = requests(9, 6)
    tickets = [engine.submit(generation) for generation in generations]
    for _ in range(5):
        engine.step()
    server.stop()
    server.start()
    drafts = dict(engine.poll())
    while len(drafts) < len(tickets):
        engine.step()
        drafts.update(engine.poll())
    for ticket, draft in zip(tickets, expected(generations), strict=True):
        assert_same(drafts[ticket], draft)


def test_a_restart_with_another_model_is_noticed(server: FakeServer, engine: ServedEngine) -> None:
    run_all(engine, requests(1, 1))
    server.model = model(1)
    server.faults = ["break 0"]
    with pytest.raises(ModelMismatch, match="no longer serves tiny"):
        run_all(engine, [Generation((3, 1, 4), max_tokens=3)])


def test_giving_up_is_a_named_error_and_leaves_the_engine_usable(
    server: FakeServer, engine: ServedEngine
) -> None:
    server.faults = ["status 503"] * 40
    with pytest.raises(ServerUnreachable, match="in 8 attempts: HTTP 503"):
        run_all(engine, [Generation((3, 1, 4), max_tokens=3)])
    server.faults = []
    generations = requests(2, 2)
    for found, draft in zip(run_all(engine, generations), expected(generations), strict=True):
        assert_same(found, draft)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("fewer ids", "left out the log-probabilities of 1 of 13"),
        ("other ids", "left out the log-probabilities"),
        ("no log-probabilities", "without their log-probabilities"),
        ("other prompt", "answered another prompt"),
        ("shifted", "as a log-probability|sum is"),
        ("sampled", "is more probable"),
    ],
)
def test_a_wrong_answer_is_an_error_and_no_score(
    server: FakeServer, engine: ServedEngine, fault: str, message: str
) -> None:
    # A prompt after which a token that is read is the most probable one: whatever else is
    # written there is not.
    read = parts()[1].read_ids
    (free,) = expected([Generation((9, 9), max_tokens=1)])
    best = free.token_ids[0]
    generation = Generation((9, 9), max_tokens=3, read_ids=(*read[:12], best))
    run_all(engine, [generation])
    server.faults = [fault]
    with pytest.raises(WrongAnswer, match=message):
        run_all(engine, [generation])


def test_answers_out_of_order_are_matched(server: FakeServer, engine: ServedEngine) -> None:
    generations = requests(5, 6)
    run_all(engine, generations[:1])
    server.faults = ["late", "late", ""]
    for found, draft in zip(run_all(engine, generations), expected(generations), strict=True):
        assert_same(found, draft)


def test_a_server_with_the_twenty_best_only_is_refused_when_opened(server: FakeServer) -> None:
    server.exact = False
    with pytest.raises(InexactEngine, match="cannot give exact log-probabilities of chosen ids"):
        open_engine(server)


def test_a_server_that_is_not_vllm_is_refused(server: FakeServer) -> None:
    server.context = None  # type: ignore[assignment]
    with pytest.raises(InexactEngine, match="how long the context"):
        open_engine(server)


def test_a_server_without_the_control_tokens_is_refused(server: FakeServer) -> None:
    server.tokenizer = byte_level(special=True, add_prefix_space=True)
    with pytest.raises(ModelMismatch, match="other ids for"):
        open_engine(server)
    tokenizer, _, size = parts()
    server.tokenizer = tokenizer
    server.model = tiny_llama(size - 15, context=CONTEXT)
    with pytest.raises(ModelMismatch, match=f"ids up to {size - 1}"):
        open_engine(server)


def test_opening_names_what_is_wrong_with_the_address(server: FakeServer) -> None:
    tokenizer, vocabulary, _ = parts()

    def opened(url: str, **options: Any) -> None:
        ServedEngine.open(url, tokenizer=tokenizer, vocabulary=vocabulary, **options)

    with pytest.raises(ServerRefused, match="no address"):
        opened("localhost:8000")
    with pytest.raises(ServerUnreachable, match="ConnectError"):
        opened("http://127.0.0.1:9")
    with pytest.raises(ModelMismatch, match="serves tiny, not other"):
        opened(server.url, model="other")
    server.key = "secret"
    with pytest.raises(ServerRefused, match="401"):
        opened(server.url)
    opened_engine = open_engine(server, api_key="secret")
    opened_engine.close()


def test_requests_that_cannot_be_are_refused_at_once(engine: ServedEngine) -> None:
    with pytest.raises(PromptTooLong):
        engine.submit(Generation(tuple(range(100)), max_tokens=28))
    with pytest.raises(EngineError, match="at most 128"):
        engine.submit(Generation((1,), max_tokens=1, read_ids=tuple(range(129))))


def test_the_fingerprint_tells_models_apart(server: FakeServer, engine: ServedEngine) -> None:
    again = open_engine(server)
    assert again.fingerprint == engine.fingerprint
    again.close()
    server.model = model(1)
    other = open_engine(server)
    assert other.fingerprint != engine.fingerprint
    other.close()
    assert torch.get_num_threads() == 1


def test_the_embedded_model_answers_from_a_server_as_from_the_engine() -> None:
    """All branches of a question at once; then again, with a server that fails now and then."""
    checkpoint = load_checkpoint(EMBEDDED_MODEL, device="cpu")
    question = "What is the capital of Burkina Faso?"
    config = DecodingConfig(mode="always", passages=3)
    with SelfRAG.from_pretrained(device="cpu", config=config) as rag:
        expected = rag.ask(question)
    fake = FakeServer(checkpoint.model, checkpoint.tokenizer, "selfrag-mini")
    with fake.running(), SelfRAG.from_pretrained(engine=fake.url, config=config) as rag:
        fake.faults = ["", "break 1", "status 503", "", "late", "break 3"]
        answer = rag.ask(question)
        described = rag.describe()
    assert described["engine"] == fake.url and described["fingerprint"].startswith("served-")
    assert answer.text == expected.text and "Ouagadougou" in answer.text
    for ours, theirs in zip(answer.segments, expected.segments, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-5)
        assert ours.text == theirs.text
    assert fake.most > 1


def test_engines_have_names() -> None:
    with pytest.raises(ValueError, match=r"allowed: 'batched', 'reference', 'vllm', the address"):
        SelfRAG.from_pretrained(engine="quick")
    with pytest.raises(ValueError, match="precision is 'int8', which is for the engines"):
        SelfRAG.from_pretrained(engine="vllm", precision="int8")
    with pytest.raises(ValueError, match="use cache="):
        SelfRAG.from_pretrained(engine="http://localhost:1", replay="recording.sqlite")
