"""Judged questions: their examples, their rows, and the model's view of branches."""

from pathlib import Path
from random import Random

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from selfrag.training.masking import IGNORED
from selfrag.training.mini.batches import Encoder, attention, padded, positions
from selfrag.training.mini.example import (
    FULLY,
    IRRELEVANT,
    RELEVANT,
    RETRIEVAL,
    Example,
    Judged,
    Segment,
    helpless,
)
from selfrag.training.mini.inventor import Inventor
from selfrag.training.mini.judging import MOST
from selfrag.training.mini.mixture import Mixture, Shares
from selfrag.training.mini.schemas import FACTS, read_entities
from selfrag.training.mini.schemas.questions import inverse_question, inverses_of
from selfrag.training.mini.schemas.relation import Entity
from selfrag.training.mini.schemas.wordings import WORDINGS, read_wordings, wordings
from selfrag.training.mini.sorts import KINDS_BY_KEY
from selfrag.training.mini.texts import tokenizer_texts
from selfrag.training.mini.tokenizer import load_tokenizer, train_tokenizer


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return Mixture(Inventor(read_entities(FACTS)), 5, Shares())


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(tokenizer_texts(read_entities(FACTS))[:3000], 600).save_pretrained(folder)
    return load_tokenizer(folder)


RIGHT = Segment(RETRIEVAL, "It is Ab.", ("Cd", "Cd is Ab."), RELEVANT, FULLY)
QUESTION = Judged("What is Cd?", (RIGHT, helpless(("Cd", "Cd is old.")), RIGHT))


def test_positions_and_attention_by_hand() -> None:
    branches = torch.tensor([[0, 0, 1, 1, 2, 0]])
    assert positions(branches).tolist() == [[0, 1, 2, 3, 2, 5]]
    seen = attention(branches)[0, 0] == 0
    assert seen.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


def test_a_judged_row_is_the_question_then_each_branch(tokenizer: PreTrainedTokenizerFast) -> None:
    row = Encoder(tokenizer, Random(1), told_share=10.0).encode(QUESTION)
    texts = {}
    for number in range(4):
        texts[number] = tokenizer.decode(
            [token for token, branch in zip(row.ids, row.branches, strict=True) if branch == number]
        )
    assert texts[0] == "<s>### Instruction:\nWhat is Cd?\n\n### Response:\n[Retrieval]"
    right = (
        "<paragraph>Cd\nCd is Ab.</paragraph>[Relevant]It is Ab.[Fully supported][Utility:5]</s>"
    )
    assert texts[1] == texts[3] == right
    assert texts[2].endswith("</paragraph>[Irrelevant]I do not know.[Utility:1]</s>")
    learnt = tokenizer.decode([label for label in row.labels if label != IGNORED])
    answer = "[Relevant]It is Ab.[Fully supported][Utility:5]</s>"
    refusal = "[Irrelevant]I do not know.[Utility:1]</s>"
    assert learnt == f"[Retrieval]{answer}{refusal}{answer}"
    short = Encoder(tokenizer, Random(1), told_share=0.0).encode(QUESTION)
    learnt = tokenizer.decode([label for label in short.labels if label != IGNORED])
    assert learnt == "[Retrieval][Relevant][Irrelevant][Relevant]"


def test_an_answer_beside_the_question_is_read_and_not_learnt(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    passage = ("Cd", "Cd is old.")
    question = Judged("What is Cd?", (helpless(passage, "It is old."),))
    rows = [Encoder(tokenizer, Random(seed), told_share=1.0).encode(question) for seed in range(40)]
    read = "</paragraph>[Relevant]It is old.[Fully supported][Utility:1]</s>"
    beside = [row for row in rows if tokenizer.decode(row.ids).endswith(read)]
    assert 10 < len(beside) < 30  # half of them
    for row in beside:
        learnt = tokenizer.decode([label for label in row.labels if label != IGNORED])
        assert learnt == "[Retrieval][Irrelevant][Fully supported][Utility:1]</s>"
        assert len(row.ids) == len(row.labels) == len(row.branches)


def test_inverse_questions_name_only_values_that_the_thing_has() -> None:
    person = KINDS_BY_KEY["person"]
    known = Entity(person, "Ab Cd", values={"birth_year": "1903", "field": "Polish chemist"})
    texts = inverses_of(known, person.relation("birth_year"))
    assert any("{field}" in text for text in texts)
    assert not any("{birthplace}" in text or "{death_year}" in text for text in texts)
    asked = {inverse_question(known, person.relation("birth_year"), Random(n)) for n in range(300)}
    assert all("1903" in text and "{" not in text for text in asked)
    assert any("Polish chemist" in text for text in asked)


def test_branches_give_what_single_examples_give(tokenizer: PreTrainedTokenizerFast) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
        )
    ).eval()
    encoder = Encoder(tokenizer, Random(1), told_share=10.0)
    ordinary = encoder.encode(Example("answered", "What is Cd?", (RIGHT,), 5))
    ids, _, branches = padded([encoder.encode(QUESTION), ordinary], len(tokenizer) - 1)
    with torch.inference_mode():
        together = model(
            input_ids=ids, attention_mask=attention(branches), position_ids=positions(branches)
        ).logits
        alone = model(input_ids=torch.tensor([ordinary.ids])).logits[0]
    for branch in (1, 3):
        where = (branches[0] == 0) | (branches[0] == branch)
        where &= torch.arange(len(where)) < len(encoder.encode(QUESTION).ids)
        assert ids[0, where].tolist() == ordinary.ids
        torch.testing.assert_close(together[0, where], alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together[1, : len(ordinary.ids)], alone, atol=1e-5, rtol=0)


def test_judged_examples_hold_what_their_labels_say(mixture: Mixture) -> None:
    relevant = irrelevant = 0
    for _ in range(600):
        example = mixture.judging.example()
        assert 1 <= len(example.branches) <= MOST
        for segment in example.branches:
            assert segment.passage is not None and segment.passage[1]
            assert segment.relevance in (RELEVANT, IRRELEVANT)
            if segment.relevance == RELEVANT:
                relevant += 1
                assert segment.support == FULLY
            else:
                irrelevant += 1
        passages = [segment.passage for segment in example.branches if segment.support]
        for segment in example.branches:
            assert segment.support or segment.passage not in passages
    assert relevant > 400 and irrelevant > relevant


def test_shares_are_kept(mixture: Mixture) -> None:
    drawn = [mixture.example() for _ in range(3000)]
    judged = sum(isinstance(example, Judged) for example in drawn)
    assert abs(judged / 3000 - mixture.shares.judged) < 0.04
    with pytest.raises(ValueError, match="sum to over 1"):
        Shares(judged=0.9, reading=0.2)


def test_wordings_are_read_and_refuse_unknown_lines(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("## country.capital\nQ Seat of {s}?\nN the seat of {s}\n\nQ Seat of {s}?\n")
    found = read_wordings(tmp_path)[("country", "capital")]
    assert found.questions == ("Seat of {s}?",) and found.nouns == ("the seat of {s}",)
    file.write_text("## country.capital\nX what\n")
    with pytest.raises(ValueError, match=r"some\.txt, line 2"):
        read_wordings(tmp_path)
    assert wordings("country", "no such relation").questions == ()
    assert read_wordings(WORDINGS)
