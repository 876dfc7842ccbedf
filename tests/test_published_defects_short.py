"""Defects S1 to S12 of the published short-form script: the paper procedure has none of them."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_rag import CONTINUE, ListRetriever, Script, literal, nodes, passages, scripted
from test_decision import group, made
from test_search_golden import THREE

from decoding.config import DecodingConfig
from decoding.decision import decide
from decoding.errors import ConfigurationError
from selfrag.answer import Answer

SHORT: dict[str, Any] = {"form": "short"}
RETRIEVES: Script = {**THREE, "### Response:\n": {"[Retrieval]": 0.95, "[No Retrieval]": 0.03}}
REFUSES: Script = {
    **THREE,
    "### Response:\n": {"[Retrieval]": 0.03, "[No Retrieval]": 0.95},
    "[No Retrieval]": {"h": 0.8},
    "h": {"[Utility:5]": 1.0},
}


def ask(script: Script, *names: str, options: Any = None, **config: Any) -> tuple[Answer, Any]:
    rag, backend = scripted(script, ListRetriever(passages(*names)), **{**SHORT, **config})
    with rag:
        return rag.ask("Q", options=options), backend


def test_s01_every_option_has_a_taker() -> None:
    """The entry point handed on an argument that nothing accepts, so the first item crashed."""
    config = DecodingConfig(form="short", beam_width=3, max_segments=2)
    rag, _ = scripted(RETRIEVES, ListRetriever(passages("w1")))
    with rag:
        assert rag.ask("Q", config=config).text == "a"
    with pytest.raises(ConfigurationError, match="max_depth"):
        DecodingConfig.from_dict({"max_depth": 2})


def test_s02_the_ratio_is_of_probabilities() -> None:
    """A ratio of log-probabilities turned the decision round."""
    yes, _ = ask(RETRIEVES, "w1")
    no, _ = ask(REFUSES, "w1")
    assert yes.decisions[0].action == "retrieve" and no.decisions[0].action == "no_retrieval"
    assert yes.decisions[0].p_retrieve == pytest.approx(0.95 / 0.98)
    assert no.decisions[0].p_retrieve == pytest.approx(0.03 / 0.98)


def test_s03_a_token_without_probability_is_no_error() -> None:
    """An id that was missing from the engine's list raised a KeyError."""
    assert made(group(0.0, 0.9)).p_retrieve == 0.0
    assert made(group(0.9, 0.0)).p_retrieve == 1.0
    assert made(group(0.0, 0.0)).p_retrieve is None


def test_s04_no_threshold_is_a_named_error() -> None:
    """Without a threshold the script used a variable that was never set."""
    with pytest.raises(ConfigurationError, match="retrieve_threshold"):
        DecodingConfig(retrieve_threshold=None)  # type: ignore[arg-type]
    settings = DecodingConfig(later_threshold=None)
    distribution = group(0.5, 0.5)
    from scripted_rag import prompts

    assert decide(distribution, 0, settings, prompts().vocabulary, at_root=False).threshold == 0.2


@pytest.mark.parametrize("mode", ["always", "adaptive"])
@pytest.mark.parametrize("names", [(), ("w1",)])
def test_s05_one_passage_or_none(mode: str, names: tuple[str, ...]) -> None:
    """One passage, or none, crashed in three different ways."""
    script = {**REFUSES, "### Response:\n": {"[Retrieval]": 1.0}}
    answer, _ = ask(script, *names, mode=mode)
    assert answer.text == ("a" if names else "h") and answer.status == "complete"
    assert bool(answer.warnings) is not bool(names)


def test_s06_control_tokens_are_read_as_ids() -> None:
    """Text was decoded without its control tokens, and then searched for them."""
    rag, _ = scripted(
        {
            "w1</paragraph>": {"[Relevant]": 1.0},
            "[Relevant]": {"a": 1.0},
            "[Relevant]a": {"[Fully supported]": 1.0},
            "a[Fully supported]": {"[Retrieval]": 1.0},
        },
        ListRetriever(passages("w1")),
        mode="always",
        max_segments=3,
    )
    with rag:
        answer = rag.ask("Q")
    assert len(answer.segments) == 3 and answer.text == "a a a"
    assert all(s.p_supported and s.p_supported["fully"] == 1.0 for s in answer.segments)


def test_s07_retrievals_are_counted_per_question() -> None:
    """The frequency of retrieval was divided by the number of keys of a dictionary."""
    rag, _ = scripted(RETRIEVES, ListRetriever(passages("w1")), **SHORT)
    with rag:
        answers = rag.ask_many(["Q"] * 3)
    assert [answer.usage.retrievals for answer in answers] == [1, 1, 1]
    assert ask(REFUSES, "w1")[0].usage.retrievals == 0


def test_s08_deciding_writes_nothing() -> None:
    """The decision decoded up to 100 tokens, which were then written once more as the answer."""
    answer, backend = ask(REFUSES, "w1")
    decide_request, answer_request = backend.generations
    assert decide_request.max_tokens == 0 and answer_request.max_tokens > 0
    assert answer.usage.generated_tokens == 1 and answer.usage.expansions == 1
    _, backend = ask(REFUSES, "w1", mode="never")
    assert len(backend.generations) == 1


def test_s09_questions_share_the_batch() -> None:
    """Questions ran strictly one after the other."""
    rag, backend = scripted(RETRIEVES, ListRetriever(passages("w1", "w3")), **SHORT)
    steps = 0
    step = backend.step

    def counted() -> bool:
        nonlocal steps
        steps += 1
        return step()

    backend.step = counted  # type: ignore[method-assign]
    with rag:
        rag.ask("Q")
        alone, steps = steps, 0
        rag.ask_many(["Q"] * 8)
    assert steps < 3 * alone


def test_s10_defaults_are_those_of_the_paper() -> None:
    """The weight of the utility was 1 where 1/2 is documented; the mode's default was no mode."""
    config = DecodingConfig()
    assert (config.w_seq, config.w_rel, config.w_sup, config.w_use) == (1.0, 1.0, 1.0, 0.5)
    assert config.mode == "adaptive" and config.retrieve_threshold == 0.2
    with pytest.raises(ConfigurationError, match="mode"):
        DecodingConfig(mode="default")  # type: ignore[arg-type]


def test_s11_spellings_of_an_option_are_one_option() -> None:
    """ "A", "A." and "(A)" were three options."""
    script: Script = {}
    for name, text in (("w1", "B"), ("w2", "A"), ("w3", "A."), ("w4", "(A)")):
        end = f"{name}</paragraph>"
        script[end] = {"[Relevant]": 0.9, "[Irrelevant]": 0.1}
        end += "[Relevant]"
        for letter in text:
            script[end] = {letter: 0.9}
            end += letter
        script[end] = {"[Utility:5]": 1.0}
    answer, _ = ask(script, "w1", "w2", "w3", "w4", mode="always", options=["x", "y"])
    assert answer.choice == "A" and answer.option_scores is not None
    assert answer.option_scores["A"] == pytest.approx(3 * answer.option_scores["B"])


def test_s12_passages_fit_are_distinct_and_generation_stops() -> None:
    """Passages overran the context, came twice, and nothing stopped the text."""
    rag, backend = scripted(
        {"</paragraph>": {"[Relevant]": 1.0}, "[Relevant]": {"a": 1.0}, "a": {CONTINUE: 1.0}},
        ListRetriever(passages("w1", "w1", "word " * 500)),
        mode="always",
        context=128,
        max_segments=1,
    )
    with rag:
        answer = rag.ask("Q")
    assert len(nodes(answer)) == 2 and any("does not fit" in text for text in answer.warnings)
    (generation,) = backend.generations
    assert len(generation.prompt_ids) + generation.max_tokens <= 128
    assert literal(nodes(answer)[1]["token_ids"]) == "[Relevant]a"
