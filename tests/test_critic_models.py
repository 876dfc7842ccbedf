"""Critic models: what they read, exact scores, bases and plans that are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from critic_helpers import (
    question,
    save_causal,
    save_pair,
    tiny_encoder,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tokenizers import byte_level, llama

from decoding.vocabulary import (
    CONTINUE_EVIDENCE,
    GROUPS,
    NO_RETRIEVAL,
    RELEVANT,
    RETRIEVAL,
)
from indexes.passage import Passage
from selfrag.training.critic.base import open_base
from selfrag.training.critic.errors import (
    QuestionTooLong,
)
from selfrag.training.critic.features import LEAST_PASSAGE, Frame, QuestionReader, encode_plain
from selfrag.training.critic.heads import HeadsNetwork
from selfrag.training.critic.language import LanguageNetwork
from selfrag.training.critic.network import Example
from selfrag.training.critic.plan import CriticPlan
from selfrag.training.critic.questions import CriticQuestion
from selfrag.training.errors import InvalidOptions, UnusableBase


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a tiny causal and a tiny sequence-to-sequence model."""
    folder = tmp_path_factory.mktemp("bases")
    return {"causal": save_causal(folder / "causal"), "pair": save_pair(folder / "pair")}


# What a model reads.


def test_a_prompt_in_full() -> None:
    tokenizer = byte_level(special=False)
    asked = CriticQuestion(
        "IsSup", "Name it.", "First.", Passage("7", "A title", "A text."), "It is this."
    )
    read = QuestionReader(tokenizer, 400).read(asked)
    assert tokenizer.decode(list(read.ids)) == (
        "Does the passage support the sentence?\nInstruction: Name it.\nBefore: First.\n"
        "Passage: A title\nA text.\nSentence: It is this.\nJudgement: "
    )
    assert read.cut == 0


def test_a_prompt_has_only_the_fields_of_its_question() -> None:
    tokenizer = byte_level(special=False)
    asked = CriticQuestion("Retrieve", "Name it.")
    text = tokenizer.decode(list(QuestionReader(tokenizer, 400).read(asked).ids))
    assert text == "Is a passage needed to go on?\nInstruction: Name it.\nJudgement: "


def test_special_tokens_in_a_text_are_text() -> None:
    for tokenizer in (byte_level(special=True), llama(legacy=False)):
        ids = encode_plain(tokenizer, "a </s> [Relevant] <s> b")
        assert not set(ids) & {tokenizer.eos_token_id, tokenizer.bos_token_id}
        assert tokenizer.convert_tokens_to_ids(RELEVANT) not in ids


@settings(deadline=None, max_examples=30)
@given(
    st.integers(90, 260),
    st.text("abc ", min_size=0, max_size=150),
    st.text("def ", min_size=1, max_size=250),
    st.sampled_from(["IsRel", "IsSup"]),
)
def test_instruction_and_sentence_survive_every_cut(
    limit: int, preceding: str, text: str, group: Any
) -> None:
    tokenizer = byte_level(special=False)
    sentence = "" if group == "IsRel" else "THE SENTENCE"
    asked = CriticQuestion(
        group, "THE INSTRUCTION", preceding, Passage("p", "THE TITLE", text), sentence
    )
    whole = QuestionReader(tokenizer, 10_000).read(asked)
    try:
        read = QuestionReader(tokenizer, limit).read(asked)
    except QuestionTooLong:
        least = min(len(encode_plain(tokenizer, text)), LEAST_PASSAGE)
        fixed = replace(asked, preceding="", passage=Passage("p", "THE TITLE", ""))
        base = len(QuestionReader(tokenizer, 10_000).read(fixed).ids)
        heading = len(encode_plain(tokenizer, "\nBefore: ")) if preceding.strip() else 0
        # The preceding text may take a quarter of the room before the passage is refused.
        assert (limit - base - heading) * 3 / 4 < least
        return
    assert len(read.ids) == min(limit, len(whole.ids))
    assert read.cut == len(whole.ids) - len(read.ids)
    shown = tokenizer.decode(list(read.ids))
    for part in ("THE INSTRUCTION", "THE TITLE", sentence, "Judgement: "):
        assert part in shown


def test_the_passage_keeps_its_beginning_and_the_preceding_text_its_end() -> None:
    tokenizer = byte_level(special=False)
    words = [f"w{number:02d}" for number in range(60)]
    passage = Passage("p", "", " ".join(words))
    asked = CriticQuestion("IsSup", "i", " ".join(reversed(words)), passage, "s")
    fixed = len(QuestionReader(tokenizer, 9999).read(asked).ids)
    long = 2 * len(encode_plain(tokenizer, passage.text))
    read = QuestionReader(tokenizer, fixed - long + 80).read(asked)  # room for 80 of the two
    shown = tokenizer.decode(list(read.ids))
    before = shown.split("Before: ")[1].split("\nPassage")[0]
    kept = shown.split("Passage: ")[1].split("\nSentence")[0]
    assert before and " ".join(reversed(words)).endswith(before)
    assert kept and passage.text.startswith(kept)
    assert len(encode_plain(tokenizer, kept)) == 60
    assert read.cut == long - 80


def test_half_a_surrogate_pair_is_read_as_a_question_mark() -> None:
    tokenizer = byte_level(special=False)
    assert encode_plain(tokenizer, "a \ud800 b") == encode_plain(tokenizer, "a ? b")


def test_special_tokens_around_a_text() -> None:
    with_both = llama(legacy=False, add_eos_token=True)
    assert Frame.of(with_both) == Frame((with_both.bos_token_id,), (with_both.eos_token_id,))
    assert Frame.of(byte_level(special=False)) == Frame((), ())


# Exact scores.


def log_p_by_hand(network: LanguageNetwork, asked: CriticQuestion, label: str) -> float:
    """log p(label), one row without any filling, token by token."""
    model, tokenizer = network.module, network.tokenizer
    prompt = list(network.reader.read(asked).ids)
    answer = [*encode_plain(tokenizer, label), tokenizer.eos_token_id]
    total = 0.0
    for place, token in enumerate(answer):
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                start = [model.config.decoder_start_token_id, *answer[:place]]
                inputs = {"input_ids": prompt, "decoder_input_ids": start}
            else:
                inputs = {"input_ids": [*prompt, *answer[:place]]}
            tensors = {name: torch.tensor([ids]) for name, ids in inputs.items()}
            logits = model(**tensors).logits[0, -1]
        total += float(torch.log_softmax(logits, dim=-1)[token])
    return total


@pytest.mark.parametrize("kind", ["causal", "pair"])
def test_label_probabilities_are_exact_and_the_loss_is_of_the_label_alone(
    bases: dict[str, Path], kind: str
) -> None:
    network = LanguageNetwork.load(bases[kind], 400)
    network.module.eval()
    asked = [question("IsRel", "red", "blue"), question("IsRel", "red", "red", "long boat house")]
    reads = [network.reader.read(one) for one in asked]
    labels = GROUPS["IsRel"]
    by_hand = [[log_p_by_hand(network, one, label) for label in labels] for one in asked]
    scores = network.scores(reads, labels, "IsRel")
    for row, reference in zip(scores, by_hand, strict=True):
        expected = torch.log_softmax(torch.tensor(reference), dim=-1).tolist()
        assert row == pytest.approx(expected, abs=1e-4)
    examples = [
        Example(read, one, label)
        for read, one in zip(reads, asked, strict=True)
        for label in labels
    ]
    losses = network.losses(network.module, network.collate(examples)).tolist()
    assert losses == pytest.approx([-value for row in by_hand for value in row], abs=1e-3)


def test_a_model_whose_cache_cannot_be_repeated_gives_the_same_scores(
    bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = LanguageNetwork.load(bases["causal"], 400)
    network.module.eval()
    reads = [
        network.reader.read(question("IsUse", "red")),
        network.reader.read(question("IsUse", "blue", noun="longer name")),
    ]
    fast = network.scores(reads, GROUPS["IsUse"], "IsUse")
    monkeypatch.setattr(network, "_scores_with_cache", lambda *_: None)
    slow = network.scores(reads, GROUPS["IsUse"], "IsUse")
    for row, other in zip(fast, slow, strict=True):
        assert row == pytest.approx(other, abs=1e-4)


def test_heads_give_no_probability_to_what_may_not_answer() -> None:
    torch.manual_seed(0)
    network = heads()
    alone = question("Retrieve", "red")
    with_passage = question("Retrieve", "red", passage=Passage("p", "", "text"))
    assert alone.labels == (NO_RETRIEVAL, RETRIEVAL)
    for asked in (alone, with_passage):
        row = network.scores([network.reader.read(asked)], asked.labels, "Retrieve")[0]
        assert len(row) == len(asked.labels)
        assert sum(torch.tensor(row).exp().tolist()) == pytest.approx(1)
    examples = [
        Example(network.reader.read(alone), alone, RETRIEVAL),
        Example(network.reader.read(with_passage), with_passage, CONTINUE_EVIDENCE),
    ]
    losses = network.losses(network.module, network.collate(examples))
    row = network.scores([examples[0].read], alone.labels, "Retrieve")[0]
    assert losses.tolist()[0] == pytest.approx(-row[1], abs=1e-5)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    gradient = network.module.heads.weight.grad
    assert gradient is not None and bool(torch.isfinite(gradient).all())
    assert bool((gradient[3:] == 0).all()) and bool((gradient[:3] != 0).any())


def heads(context: int = 96, **changes: Any) -> HeadsNetwork:
    """An encoder of fresh weights with a byte-level tokenizer."""
    from transformers import AutoConfig, AutoModel

    tokenizer = byte_level(special=False)
    values = {**tiny_encoder(), "vocab_size": len(tokenizer), **changes}
    body: Any = AutoModel
    return HeadsNetwork(body.from_config(AutoConfig.for_model(**values)), tokenizer, context)


# Bad input.


def test_bases_that_cannot_be_trained_are_named(bases: dict[str, Path], tmp_path: Path) -> None:
    def refused(plan: CriticPlan) -> str:
        with pytest.raises(UnusableBase) as caught:
            open_base(plan, [], tmp_path)
        return str(caught.value)

    language = CriticPlan(kind="language", base=str(bases["causal"]), context=200)
    encoder = CriticPlan(kind="encoder", base=str(bases["causal"]), context=200)
    no_pad = str(save_causal(tmp_path / "no-pad", pad_token=None))
    no_end = str(save_causal(tmp_path / "no-end", eos_token=None))
    assert "no pad token" in refused(replace(encoder, base=no_pad))
    assert "no end of text" in refused(replace(language, base=no_end))
    assert "reads 512" in refused(replace(language, context=1000))
    assert "encoder and a decoder" in refused(replace(encoder, base=str(bases["pair"])))
    assert "cannot be loaded" in refused(replace(language, base=str(tmp_path / "absent")))
    unknown = replace(encoder, base="", fresh={"model_type": "nonsense"}, tokenizer=no_pad)
    assert "cannot be loaded" in refused(unknown)
    # A causal model needs none: what is filled up is masked.
    network = open_base(replace(language, base=no_pad), [], tmp_path)
    asked = [question("IsRel", "red"), question("IsRel", "red", "blue", "longer name")]
    reads = [network.reader.read(one) for one in asked]
    together = network.scores(reads, asked[0].labels, "IsRel")
    alone = [network.scores([read], asked[0].labels, "IsRel")[0] for read in reads]
    for row, other in zip(together, alone, strict=True):
        assert row == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "nonsense", "base": "x"},
        {"kind": "language"},
        {"kind": "language", "fresh": {"model_type": "bert"}},
        {"kind": "encoder", "fresh": {}},
        {"kind": "encoder", "base": "x", "fresh": {"model_type": "bert"}},
        {"kind": "encoder", "base": "x", "gradient_checkpointing": True},
        {"kind": "language", "base": "x", "precision": "float16"},
        {"kind": "language", "base": "x", "context": 0},
        {"kind": "language", "base": "x", "epochs": 0},
        {"kind": "language", "base": "x", "rate": 0},
        {"kind": "language", "base": "x", "warmup": 1.0},
        {"kind": "language", "base": "x", "nonsense": 1},
        {"base": "x"},
    ],
)
def test_plans_are_checked(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match=r"Allowed|needed"):
        CriticPlan.from_dict(values)


def test_a_plan_comes_back() -> None:
    plan = CriticPlan(kind="encoder", fresh=tiny_encoder(), balance=True)
    assert CriticPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
