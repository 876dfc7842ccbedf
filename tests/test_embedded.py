"""The shipped model, encoder and index, through the faces that users call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_rag import assert_same_answer

from selfrag import Answer, SelfRAG
from selfrag.rag import ASSETS, EMBEDDED_INDEX

QUESTIONS = [
    "What is the capital of Burkina Faso?",
    "Who wrote Frankenstein?",
    "Hello!",
    "What is the chemical symbol of gold?",
]


@pytest.fixture(scope="module")
def rag() -> Iterator[SelfRAG]:
    with SelfRAG.from_pretrained() as loaded:
        yield loaded


@pytest.fixture(scope="module")
def answers(rag: SelfRAG) -> list[Answer]:
    return [rag.ask(question) for question in QUESTIONS]


def test_the_first_question_of_the_readme(answers: list[Answer]) -> None:
    answer = answers[0]
    assert "Ouagadougou" in answer.text
    assert any("Ouagadougou" in citation.text for citation in answer.citations)
    assert answer.decisions[0].action == "retrieve"
    segment = answer.segments[0]
    assert segment.p_relevant is not None and segment.p_relevant > 0.5
    assert segment.p_supported is not None and segment.p_supported["fully"] > 0.5


def test_a_greeting_needs_no_passage(answers: list[Answer]) -> None:
    assert answers[2].decisions[0].action == "no_retrieval"
    assert answers[2].usage.retrievals == 0
    assert answers[2].citations == ()


def test_batch_stream_and_async_answer_alike(rag: SelfRAG, answers: list[Answer]) -> None:
    for one, batched in zip(answers, rag.ask_many(QUESTIONS), strict=True):
        assert_same_answer(batched, one, 1e-5)
    for question, answer in zip(QUESTIONS, answers, strict=True):
        events = list(rag.stream(question))
        assert_same_answer(Answer.from_dict(events[-1].data["answer"]), answer, 1e-5)
    assert_same_answer(asyncio.run(rag.aask(QUESTIONS[0])), answers[0], 1e-5)


def test_guessed_tokens_change_no_answer(
    answers: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decoding.engine.engine._SPECULATION", 0)
    with SelfRAG.from_pretrained() as plain:
        for question, answer in zip(QUESTIONS, answers, strict=True):
            assert_same_answer(plain.ask(question), answer, 1e-5)


def test_a_recording_replays_without_the_weights(tmp_path: Path, answers: list[Answer]) -> None:
    path = tmp_path / "run.sqlite"
    with SelfRAG.from_pretrained(record=path) as rag:
        recorded = rag.ask(QUESTIONS[0])
    with SelfRAG.from_pretrained(replay=path) as rag:
        replayed = rag.ask(QUESTIONS[0], config=rag.config.replace(prune=False))
    assert_same_answer(replayed, recorded)
    assert recorded.text == answers[0].text


def test_the_reference_decoder_gives_the_same_probabilities(rag: SelfRAG) -> None:
    """One full forward pass for every position, float32: reflection probabilities to 1e-5."""
    config = rag.config.replace(prune=False)
    with SelfRAG.from_pretrained(engine="reference", config=config) as reference:
        slow = reference.ask(QUESTIONS[0])
    fast = rag.ask(QUESTIONS[0], config=config)
    assert_same_answer(fast, slow, 1e-5)
    pairs = list(zip(_distributions(fast), _distributions(slow), strict=True))
    assert len(pairs) >= 10
    for left, right in pairs:
        assert left == pytest.approx(right, abs=1e-5)


def test_the_index_is_whole() -> None:
    from indexes.verify import verify_index

    assert verify_index(EMBEDDED_INDEX).problems == ()


def test_what_is_shipped_stays_small() -> None:
    sizes = [path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()]
    assert max(sizes) < 14e6
    assert sum(sizes) < 36e6


def _distributions(answer: Answer) -> list[list[float]]:
    """Probabilities of every distribution of every node, in order."""
    nodes: list[dict[str, Any]] = answer.tree["nodes"]
    return [
        distribution["probabilities"]
        for node in nodes
        for _, distribution in sorted(node["distributions"].items())
    ]
