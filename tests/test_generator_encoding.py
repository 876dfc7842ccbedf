"""Rows as tokens: ids are the tokenizer's own, and the loss counts what the model writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from generator_rows import (
    bare,
    chains,
    every_row,
    judged,
    one_paragraph,
    several_paragraphs,
    tree,
)
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import tiny_llama
from tiny_tokenizers import all_kinds, byte_level, llama

from decoding.prompt import question_parts
from decoding.vocabulary import CONTROL_STRINGS
from indexes.passage import Passage
from selfrag.training.generator.encoding import EncodedRow, RowEncoder
from selfrag.training.generator.packing import attention_mask, joined, padded, positions
from selfrag.training.masking import IGNORED, mask_labels
from selfrag.training.rows import TrainingRow, TreeSegment, segment_text

KINDS = all_kinds()


@pytest.fixture(scope="module")
def encoder() -> RowEncoder:
    return RowEncoder(byte_level(special=True))


def path_to(row: EncodedRow, place: int) -> list[int]:
    """Places from the first token to this one, by the tokens that predict."""
    path = [place]
    while row.before[path[-1]] >= 0:
        path.append(int(row.before[path[-1]]))
    return path[::-1]


def leaves(row: EncodedRow) -> list[int]:
    return [place for place in range(len(row)) if place not in set(row.before.tolist())]


def harmless(row: TrainingRow) -> TrainingRow:
    """The row without look-alikes of control tokens, which no tokenizer could read back."""

    def clean(text: str) -> str:
        for string in (*CONTROL_STRINGS, "</s>"):
            text = text.replace(string, "")
        return text

    segments = []
    for one in row.segments:
        values = one.to_dict()
        if one.passage is not None:
            passage = one.passage
            title = passage.title or "Title"
            values["passage"] = Passage(passage.id, title, clean(passage.text)).to_dict()
        values.pop("learnt", None), values.pop("accepted", None)
        segments.append(TreeSegment.from_dict({"learnt": True, **values, "accepted": False}))
    return TrainingRow(row.id, clean(row.instruction), tuple(segments), clean(row.input or "x"))


def without_accepted(row: TrainingRow) -> TrainingRow:
    """An accepted passage reads [Relevant] where its text says [Irrelevant]."""
    kept = tuple(one for one in row.segments if not one.accepted)
    return TrainingRow(row.id, row.instruction, kept, row.input)


@pytest.mark.parametrize("kind", KINDS)
def test_each_path_has_the_ids_of_its_joined_string(kind: str) -> None:
    tokenizer = KINDS[kind]
    encoder = RowEncoder(tokenizer)
    for row in map(harmless, map(without_accepted, every_row())):
        encoded = encoder.encode(row)
        found = {
            tuple(encoded.ids[place] for place in path_to(encoded, leaf))
            for leaf in leaves(encoded)
        }
        expected = set()
        for path in row.paths():
            text = "".join(map(str, question_parts(row.instruction, row.input)))
            text += "".join(map(segment_text, path))
            end = [tokenizer.eos_token_id] if path[-1].utility else []
            expected.add((*tokenizer(text)["input_ids"], *end))
        assert found == expected, row.id


@pytest.mark.parametrize("kind", KINDS)
def test_text_never_becomes_a_control_token(kind: str) -> None:
    encoder = RowEncoder(KINDS[kind])
    control = encoder.vocabulary.control_ids - {encoder.vocabulary.unk}
    for row in every_row():
        encoded = encoder.encode(row)
        found, expected = [], []
        for leaf in leaves(encoded):
            ids = encoded.ids[path_to(encoded, leaf)].tolist()
            begin = len(encoder.codec.encode(["x"], bos=True))
            begin -= len(encoder.codec.encode(["x"], bos=False))
            found.append(sum(token in control for token in ids[begin:]))
        for path in row.paths():
            placed = 0
            for one in path:
                placed += bool(one.opening) + 3 * (one.passage is not None) + bool(one.support)
                placed += 2 * (one.utility is not None)
            expected.append(placed)
        assert sorted(found) == sorted(expected), row.id


def test_labels_of_chains_are_those_of_the_mask(encoder: RowEncoder) -> None:
    known = encoder.vocabulary
    for row in chains():
        if row.id == "bare":
            continue
        encoded = encoder.encode(row)
        prompt = encoder.codec.encode(question_parts(row.instruction, row.input), bos=True)
        expected = mask_labels(
            encoded.ids.tolist(), len(prompt), known.paragraph_start, known.paragraph_end
        )
        assert encoded.labels.tolist() == expected, row.id


def literal(encoder: RowEncoder, row: EncodedRow) -> str:
    """The labels as text, what is not counted as a dot."""
    return "".join(
        "." if label == IGNORED else encoder.codec.literal([int(label)]) for label in row.labels
    )


def test_bare_sentences_are_counted_from_their_first_word(encoder: RowEncoder) -> None:
    text = literal(encoder, encoder.encode(bare()))
    assert text.strip(".").startswith("Sure!") and text.endswith(" And there.[Utility:4]</s>")
    assert "here." not in text.replace("there.", "")


def test_adjacent_paragraphs_are_masked_one_by_one(encoder: RowEncoder) -> None:
    text = literal(encoder, encoder.encode(several_paragraphs()))
    counted = [piece for piece in text.split(".") if piece]
    assert counted[0] == "[Retrieval]<paragraph>"
    assert text.count("<paragraph>") == 3 and text.count("</paragraph>") == 0
    for sentence in ("Ouagadougou", "It is the capital", "Nobody knows", "Many"):
        assert sentence in text
    assert "million" not in text and "[Irrelevant]Nobody" in text


def test_accepted_passages_are_read_as_relevant_and_learnt_as_irrelevant(
    encoder: RowEncoder,
) -> None:
    encoded, known = encoder.encode(judged()), encoder.vocabulary
    pairs = list(zip(encoded.ids.tolist(), encoded.labels.tolist(), strict=True))
    assert pairs.count((known.relevant, known.irrelevant)) == 1
    assert pairs.count((known.relevant, known.relevant)) == 1
    assert pairs.count((known.irrelevant, known.irrelevant)) == 1
    assert "Two spaces" not in literal(encoder, encoded)


def test_a_shared_beginning_stands_once(encoder: RowEncoder) -> None:
    encoded, known = encoder.encode(judged()), encoder.vocabulary
    assert encoded.ids.tolist().count(known.retrieval) == 1
    assert encoded.labels.tolist().count(known.retrieval) == 1
    paths = sum(len(path_to(encoded, leaf)) for leaf in leaves(encoded))
    assert len(encoded) < paths


def reference_mask(row: EncodedRow) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """seen[i, j]: j is on the way to i."""
    seen = np.zeros((len(row), len(row)), bool)
    for place in range(len(row)):
        seen[place, path_to(row, place)] = True
    return seen


def test_the_mask_shows_each_token_its_own_path(encoder: RowEncoder) -> None:
    for row in map(encoder.encode, every_row()):
        mask = attention_mask(torch.from_numpy(row.ends).long()[None])[0, 0]
        assert np.array_equal(mask.numpy() == 0, reference_mask(row))
        assert mask[mask != 0].unique().tolist() in ([], [torch.finfo(torch.float32).min])


def test_positions_count_what_is_seen_before(encoder: RowEncoder) -> None:
    pack = joined([encoder.encode(row) for row in every_row()])
    expected = reference_mask(pack).sum(1) - 1
    found = positions(torch.from_numpy(pack.before).long()[None])[0]
    assert found.tolist() == expected.tolist()


@st.composite
def trees(draw: st.DrawFn) -> TrainingRow:
    segments: list[TreeSegment] = []
    text = st.sampled_from(["a", "The", " capital", "\n", "é.", "[Relevant] x", "\nNew", "3.5"])
    for _ in range(draw(st.integers(1, 7))):
        open_places = [i for i, one in enumerate(segments) if one.sentence and not one.utility]
        parent = draw(st.sampled_from([-1, *open_places]))
        opening = draw(st.sampled_from(["", "[No Retrieval]", "[Retrieval]"]))
        sentence = draw(text) + "x" + draw(text)
        utility = draw(st.none() | st.integers(1, 5))
        learnt = draw(st.booleans())
        if opening == "[Retrieval]":
            passage = Passage("p", draw(text), draw(text))
            segment = TreeSegment(
                parent, opening, sentence, passage, "[Relevant]", "", utility, learnt
            )
        else:
            segment = TreeSegment(parent, opening, sentence, utility=utility, learnt=learnt)
        segments.append(segment)
    return TrainingRow("r", draw(text) + "q", tuple(segments))


ENCODERS = {
    "bytes": RowEncoder(byte_level(special=True)),
    "llama": RowEncoder(llama(legacy=False)),
    "legacy": RowEncoder(llama(legacy=True)),
}


@given(trees(), st.sampled_from(sorted(ENCODERS)))
def test_a_tree_holds_exactly_its_paths(row: TrainingRow, kind: str) -> None:
    encoder = ENCODERS[kind]
    encoded = encoder.encode(row)
    assert (encoded.before < np.arange(len(encoded))).all()
    found = set()
    for leaf in leaves(encoded):
        path = path_to(encoded, leaf)
        found.add((tuple(encoded.ids[path]), tuple(encoded.labels[path])))
    alone = set()
    for path_of_segments in row.paths():
        chain = tuple(
            TreeSegment.from_dict({**one.to_dict(), "parent": place - 1})
            for place, one in enumerate(path_of_segments)
        )
        one = encoder.encode(TrainingRow("r", row.instruction, chain))
        alone.add((tuple(one.ids), tuple(one.labels)))
    # A path that is the beginning of another has no end of its own.
    inner = {
        short
        for short in alone
        for other in alone
        if short != other
        and other[0][: len(short[0])] == short[0]
        and other[1][: len(short[1])] == short[1]
    }
    assert found == alone - inner
    mask = attention_mask(torch.from_numpy(encoded.ends).long()[None])[0, 0]
    assert np.array_equal(mask.numpy() == 0, reference_mask(encoded))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_logits_in_a_packed_tree_are_those_of_each_path_alone(
    encoder: RowEncoder, attention: str
) -> None:
    # Logits of about 1, so that 1e-5 is ten times what float32 loses.
    model = tiny_llama(500, attn_implementation=attention, initializer_range=0.1)
    rows = [encoder.encode(row) for row in every_row()]
    pack = joined(rows)
    batch = padded([pack], pad_id=2)
    with torch.no_grad():
        together = model(
            input_ids=batch["input_ids"],
            attention_mask=attention_mask(batch["ends"]),
            position_ids=batch["position_ids"],
        ).logits[0]
        for leaf in leaves(pack):
            path = path_to(pack, leaf)
            alone = model(input_ids=torch.tensor(pack.ids[path])[None].long()).logits[0]
            assert torch.allclose(together[path], alone, atol=1e-5)


def test_padding_is_never_seen_and_never_counted(encoder: RowEncoder) -> None:
    rows = [encoder.encode(one_paragraph()), encoder.encode(tree())]
    batch = padded(rows, pad_id=2)
    assert batch["input_ids"].shape[1] % 8 == 0
    short = len(rows[0])
    assert (batch["labels"][0, short:] == IGNORED).all()
    mask = attention_mask(batch["ends"])[:, 0] == 0
    assert not mask[0, :short, short:].any() and not mask[0, short:, :short].any()
    assert mask.any(-1).all()


def test_long_rows_are_cut_at_a_segment(encoder: RowEncoder) -> None:
    row = several_paragraphs()
    lengths = [
        len(encoder.encode(TrainingRow("r", row.instruction, row.segments[:kept])))
        for kept in range(1, 5)
    ]
    for room in range(lengths[0], lengths[-1] + 1):
        found = encoder.fit(row, room)
        assert found is not None
        encoded, kept = found
        assert kept == max(number for number in range(1, 5) if lengths[number - 1] <= room)
        assert len(encoded) == lengths[kept - 1]
    assert encoder.fit(row, lengths[0] - 1) is None
