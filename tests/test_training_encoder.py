"""Encoder training: reading queries, batches, mining, measuring, rounds that resume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.passage import Passage
from selfrag.training.encoder import (
    EncoderData,
    EncoderPlan,
    EncoderQuery,
    evaluate_by_sort,
    evaluate_encoder,
    load_model,
    read_encoder_data,
    rounds,
    train_encoder,
)
from selfrag.training.encoder.batches import BatchRow, distinct_batches
from selfrag.training.encoder.errors import (
    InvalidEncoderPlan,
    MissingLibrary,
    NotEnoughQueries,
    require_train_extra,
)
from selfrag.training.encoder.mining import mine_negatives
from selfrag.training.errors import InvalidRow, StageChanged, UnusableBase

COLOURS = ("red", "blue", "green", "white", "black", "brown", "grey", "pink", "gold", "amber")
THINGS = ("apple", "car", "door", "house", "shirt", "chair", "boat", "lamp", "cup", "bird")
TINY = EncoderPlan(
    pieces=120, dimension=16, rounds=2, epochs=4, batch=16, depth=5, held_out=0.2, seed=3
)


# --- plans


@pytest.mark.parametrize(
    "setting",
    [
        {"rounds": 0},
        {"batch": 1},
        {"negatives": -1},
        {"negatives": 4, "depth": 3},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"scale": -1},
        {"margin": 1.5},
        {"held_out": 1.0},
        {"pieces": True},
        {"base": None},
    ],
)
def test_settings_that_are_not_allowed(setting: dict[str, Any]) -> None:
    name = next(iter(setting)) if len(setting) == 1 else "depth"
    with pytest.raises(InvalidEncoderPlan, match=name):
        EncoderPlan(**setting)


def test_a_plan_comes_back_from_its_values() -> None:
    plan = EncoderPlan(rounds=3, margin=0.05)
    assert EncoderPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    with pytest.raises(InvalidEncoderPlan, match="speed"):
        EncoderPlan.from_dict({"speed": 1})


def test_the_rate_depends_on_the_sort_of_model() -> None:
    assert EncoderPlan().learning_rate == 0.1
    assert EncoderPlan(base="somewhere").learning_rate == 2e-5
    assert EncoderPlan(base="somewhere", rate=0.5).learning_rate == 0.5


# --- reading


def write(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_queries_name_passages_by_id_or_bring_them(tmp_path: Path) -> None:
    corpus = [Passage("p1", "Mali", "Its capital is Bamako."), Passage("p2", "", "No title.")]
    rows = [
        {"query": "capital?", "positive": "p1", "negatives": ["p2", "Gao is a city."]},
        {"query": "both?", "positive": ["A text.", "p2"], "evidence": ["p1"], "sort": "odd"},
        {"query": " ", "positive": "p1"},
        {"query": "none?"},
        {"query": "where?", "evidence": ["p9"]},
        {"query": "what?", "positive": 7},
        {"query": "which?", "positive": "p1", "negatives": ["p1"]},
    ]
    path = write(tmp_path / "queries.jsonl", rows)
    path.write_text(path.read_text() + "{no json\n")
    data = read_encoder_data([path], tmp_path / "stage", corpus)
    assert data.passages["p1"] == "Mali Its capital is Bamako."
    assert data.passages["p2"] == "No title."
    first, second = data.queries
    assert first.positives == ("p1",) and first.negatives[0] == "p2"
    assert data.passages[first.negatives[1]] == "Gao is a city."
    assert data.passages[second.positives[0]] == "A text."
    assert second.positives[1:] == ("p2", "p1") and second.sort == "odd"
    manifest = json.loads((tmp_path / "stage" / "manifest.json").read_text())
    assert manifest["dropped"] == {
        "bad positive": 1,
        "no positive": 1,
        "no query": 1,
        "not JSON": 1,
        "positive and negative": 1,
        "unknown evidence": 1,
    }
    assert manifest["balance"] == {"positives by id": 3, "positives by text": 1, "negatives": 2}
    dropped = (tmp_path / "stage" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in dropped]
    assert [line["line"] for line in lines] == [3, 4, 5, 6, 7, 8]
    with pytest.raises(StageChanged):
        read_encoder_data([path], tmp_path / "stage", corpus[:1])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (EncoderQuery("?", ("a", "x")), "not there"),
        (EncoderQuery("?", ("a",), ("a",)), "positive and as negative"),
        (EncoderQuery("?", ()), "no positive"),
        (EncoderQuery(" ", ("a",)), "empty"),
    ],
)
def test_queries_that_do_not_fit_the_passages(query: EncoderQuery, words: str) -> None:
    with pytest.raises(InvalidRow, match=words):
        EncoderData({"a": "A"}, [query])


@given(st.lists(st.sampled_from(["Who?", "who?", "Why?", "When?", "How?"]), max_size=30))
def test_the_same_question_is_never_in_both_parts(texts: list[str]) -> None:
    data = EncoderData({"a": "A"}, [EncoderQuery(text, ("a",)) for text in texts])
    train, held = data.split(0.5, 1)
    left = {query.text.lower() for query in train.queries}
    right = {query.text.lower() for query in held.queries}
    assert not left & right
    assert len(train.queries) + len(held.queries) == len(texts)


# --- batches


@given(st.data(), st.integers(1, 6))
def test_no_passage_of_a_batch_answers_the_query_of_another_row(
    draw: st.DataObject, size: int
) -> None:
    ids = st.sampled_from("abcdef")
    sets = draw.draw(st.lists(st.tuples(st.sets(ids, min_size=1, max_size=3), ids), max_size=25))
    rows = [
        BatchRow((min(right), hard) if hard not in right else (min(right),), frozenset(right))
        for right, hard in sets
    ]
    batches = list(distinct_batches(rows, size, seed=1))
    assert sorted(place for batch in batches for place in batch) == list(range(len(rows)))
    for batch in batches:
        assert 0 < len(batch) <= size
        for one in batch:
            for other in batch:
                if one != other:
                    assert rows[one].positives.isdisjoint(rows[other].passages)


def test_rows_without_conflicts_fill_batches() -> None:
    rows = [BatchRow((str(n),), frozenset((str(n),))) for n in range(10)]
    assert [len(batch) for batch in distinct_batches(rows, 4, seed=1)] == [4, 4, 2]


# --- mining


class Table:
    """A model whose vectors are given."""

    def __init__(self, vectors: dict[str, Sequence[float]]) -> None:
        self.vectors = vectors

    def encode_query(self, texts: Sequence[str], **_: Any) -> npt.NDArray[np.float32]:
        made = np.array([self.vectors[text] for text in texts], dtype=np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    encode_document = encode_query


def at(degrees: float) -> tuple[float, float]:
    return float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))


PLACES = {"q": at(0), "A": at(20), "B": at(21), "C": at(5), "D": at(33), "E": at(50), "F": at(80)}


def mined(plan: EncoderPlan, query: EncoderQuery, seed: int = 1) -> tuple[tuple[str, ...], Any]:
    passages = {name.lower(): name for name in "ABCDEF"}
    found, counts = mine_negatives(Table(PLACES), EncoderData(passages, [query]), plan, seed=seed)
    return found[0], counts.to_dict()


def test_the_nearest_that_neither_answer_nor_repeat_an_answer_are_taken() -> None:
    # Of "a" at 20 degrees, "b" at 21 is a near-duplicate: cos 1 = 0.9998. Nearest first: c, a, b.
    query = EncoderQuery("q", ("a",))
    found, counts = mined(EncoderPlan(negatives=2, depth=2), query)
    assert sorted(found) == ["c", "d"]
    assert counts["positives"] == 1 and counts["duplicates"] == 1 and counts["near"] == 0
    assert counts["found"] == 2 and counts["random"] == counts["given"] == 0


def test_the_margin_leaves_out_what_is_nearer_than_the_worst_positive() -> None:
    # cos 20 = 0.940; 5 % less is 0.893 = cos 26.8: "c" at 5 degrees is nearer, "d" at 33 is not.
    found, counts = mined(EncoderPlan(negatives=1, depth=1, margin=0.05), EncoderQuery("q", ("a",)))
    assert found == ("d",) and counts["near"] == 1


def test_given_negatives_come_first_and_random_ones_fill_up() -> None:
    query = EncoderQuery("q", ("a", "c", "e", "f"), ("b",))
    found, counts = mined(EncoderPlan(negatives=2, depth=2), query)
    assert found == ("b", "d")
    assert counts["given"] == 1 and counts["found"] == 1
    near = EncoderPlan(negatives=2, depth=2, margin=0.99)  # leaves out all but "f", at 80 degrees
    found, counts = mined(near, EncoderQuery("q", ("c",)))
    assert counts["found"] + counts["random"] == 2 and counts["random"] >= 1
    assert len(set(found)) == 2 and "c" not in found


def test_too_few_passages_for_the_negatives() -> None:
    with pytest.raises(NotEnoughQueries, match="too few"):
        mined(EncoderPlan(negatives=3, depth=3), EncoderQuery("q", ("a", "b", "c", "d")))


# --- measuring and training: these need the extra


def data_of_things() -> EncoderData:
    """Colours of things: every fact asked for in four ways; a second passage says it again."""
    passages, queries = {}, []
    for thing in THINGS:
        for colour in COLOURS[:6]:
            name = f"{thing}-{colour}"
            passages[name] = f"The {thing} of the owner of the {colour} one is {colour}."
            passages[f"{name}-2"] = f"A {colour} {thing} stands there."
            for text in ("the {} {}", "which {} {} is it", "{} {}", "show the {} coloured {}"):
                asked = text.format(colour, thing)
                queries.append(EncoderQuery(asked, (name, f"{name}-2"), sort=text[:3].strip()))
    return EncoderData(passages, queries)


def test_figures_by_hand() -> None:
    pytest.importorskip("datasets", reason="figures need the extra train")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["a", "b", "c", "d"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, "a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.array([at(0), at(10), at(30), at(60)], dtype=np.float32)
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu"
    )
    passages = {"1": "b", "2": "c", "3": "d"}
    queries = [
        EncoderQuery("a", ("1",), sort="x"),  # found first
        EncoderQuery("a", ("2", "3"), sort="y"),  # found second and third
    ]
    all_figures = evaluate_encoder(model, EncoderData(passages, queries))
    assert all_figures.hit == {"1": 0.5, "5": 1.0, "10": 1.0}
    assert all_figures.mrr == pytest.approx((1 + 1 / 2) / 2)
    by_sort = evaluate_by_sort(model, EncoderData(passages, queries))
    assert set(by_sort) == {"all", "x", "y"} and by_sort["all"] == all_figures
    assert by_sort["x"].ndcg == pytest.approx(1.0)
    gain = 1 / np.log2(3) + 1 / np.log2(4)
    assert by_sort["y"].ndcg == pytest.approx(gain / (1 + 1 / np.log2(3)))
    assert by_sort["y"].recall == {"1": 0.0, "5": 1.0, "10": 1.0}
    with pytest.raises(NotEnoughQueries):
        evaluate_encoder(model, EncoderData(passages, []))


@pytest.fixture
def training() -> None:
    pytest.importorskip("datasets", reason="encoder training needs the extra train")
    pytest.importorskip("accelerate", reason="encoder training needs the extra train")


@pytest.mark.usefixtures("training")
def test_rounds_are_trained_once_and_further_ones_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, told = data_of_things(), []
    result = train_encoder(
        data, tmp_path, TINY, report=lambda what, done, total: told.append((what, done, total))
    )
    assert result.before is not None and len(result.rounds) == 2
    last = result.rounds[-1]
    assert last is not None
    assert last["all"]["hit"]["5"] > result.before["all"]["hit"]["5"] and last["all"]["mrr"] > 0.8
    assert {name for name, _, _ in told} == {
        "round 1: training",
        "round 2: mining",
        "round 2: training",
    }
    assert all(done <= total for _, done, total in told) and told[-1][1] == told[-1][2]
    summary = json.loads((tmp_path / "evaluation.json").read_text())
    assert summary["best"] == result.best and summary["rounds"] == list(result.rounds)
    manifest = json.loads((tmp_path / "round-2" / "manifest.json").read_text())
    train, held = data.split(TINY.held_out, TINY.seed)
    assert manifest["mining"]["queries"] == len(train.queries)
    assert last["all"]["queries"] == len(held.queries) > 0
    mined_lines = (tmp_path / "round-2" / "negatives.jsonl").read_text().splitlines()[1:]
    for query, line in zip(train.queries, mined_lines, strict=True):
        assert not set(query.positives).intersection(json.loads(line))
    assert not list(tmp_path.glob("round-*/checkpoints"))
    vectors = load_model(result.model).encode(["red apple"])
    assert vectors.shape == (1, 16) and np.linalg.norm(vectors) == pytest.approx(1, abs=1e-5)

    monkeypatch.setattr(rounds, "fit", None)  # a finished round is not trained again
    assert train_encoder(data, tmp_path, TINY) == result
    monkeypatch.undo()
    more = EncoderPlan.from_dict({**TINY.to_dict(), "rounds": 3})
    assert train_encoder(data, tmp_path, more).rounds[:2] == result.rounds
    other = EncoderPlan.from_dict({**TINY.to_dict(), "scale": 30.0})
    with pytest.raises(StageChanged, match="plan"):
        train_encoder(data, tmp_path, other)
    with pytest.raises(StageChanged, match="data"):
        train_encoder(EncoderData(data.passages, data.queries[1:]), tmp_path, TINY)


class Killed(Exception):
    pass


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize("moment", ["round 1: training", "round 2: mining", "round 2: training"])
def test_after_a_kill_the_same_encoder_comes_out(tmp_path: Path, moment: str) -> None:
    data = data_of_things()

    def killed(what: str, done: int, total: int) -> None:
        if what == moment and done > total // 2:
            raise Killed

    with pytest.raises(Killed):
        train_encoder(data, tmp_path / "killed", TINY, report=killed)
    again = train_encoder(data, tmp_path / "killed", TINY)
    whole = train_encoder(data, tmp_path / "whole", TINY)
    assert again.rounds == whole.rounds and again.best == whole.best
    found, wanted = (load_model(result.model).encode(list(THINGS)) for result in (again, whole))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.usefixtures("training")
def test_a_model_with_layers_is_fine_tuned_on_what_it_finds_itself(tmp_path: Path) -> None:
    base = save_tiny_encoder(tmp_path / "base")
    plan = EncoderPlan(
        base=str(base), rounds=1, batch=8, mini_batch=4, rate=0.01, negatives=2, held_out=0.2
    )
    data = data_of_things()
    result = train_encoder(data, tmp_path / "out", plan)
    manifest = json.loads((tmp_path / "out" / "round-1" / "manifest.json").read_text())
    assert manifest["mining"]["found"] > 0
    before, after = (load_model(path).encode(["red apple"]) for path in (base, result.model))
    assert not np.allclose(before, after)
    assert result.before is not None and result.rounds[0] is not None
    assert result.rounds[0]["all"]["mrr"] > result.before["all"]["mrr"]


def save_tiny_encoder(folder: Path) -> Path:
    """A random BERT of one layer with mean pooling and prompts."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel, BertTokenizer

    parts = folder.with_name("parts")
    parts.mkdir()
    words = ["the", "of", "owner", "one", "is", "a", "stands", "there", "which", "it", "show"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    known = [*special, *words, ".", ":", "query", "passage", "coloured", *COLOURS, *THINGS]
    (parts / "vocab.txt").write_text("\n".join(known), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(known),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(parts)
    BertTokenizer(str(parts / "vocab.txt")).save_pretrained(parts)
    layers = Transformer(str(parts))
    model = SentenceTransformer(
        modules=[layers, Pooling(16)],
        prompts={"query": "query: ", "document": "passage: "},
        device="cpu",
    )
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


@pytest.mark.usefixtures("training")
def test_nothing_to_train_on_or_to_measure_with(tmp_path: Path) -> None:
    data = EncoderData({"a": "A", "b": "B"}, [EncoderQuery("one", ("a",))])
    for held_out in (0.001, 0.999):
        plan = EncoderPlan(pieces=16, dimension=4, batch=2, held_out=held_out)
        with pytest.raises(NotEnoughQueries, match="1 queries"):
            train_encoder(data, tmp_path / str(held_out), plan)
    plan = EncoderPlan(pieces=16, dimension=4, batch=2, held_out=0)
    with pytest.raises(NotEnoughQueries, match="at least two"):
        train_encoder(data, tmp_path / "none", plan)


@pytest.mark.usefixtures("training")
def test_a_base_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnusableBase, match="nowhere"):
        train_encoder(data_of_things(), tmp_path, EncoderPlan(base=str(tmp_path / "nowhere")))


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingLibrary, match=r"selfrag\[train\]"):
        require_train_extra()


def test_the_same_texts_give_the_same_pieces() -> None:
    from selfrag.training.encoder.models import train_word_pieces

    texts = [f"Die {colour} {thing}é." for colour in COLOURS for thing in THINGS]
    first, again = (train_word_pieces(texts, 90) for _ in range(2))
    assert first.to_str() == again.to_str()
    assert first.get_vocab_size() == 90 and first.token_to_id("[PAD]") == 0
    assert first.encode("The RED house?").tokens == first.encode("the red house?").tokens
    assert "[PAD]" not in first.encode("pad [UNK] pads").tokens
    assert first.decode(first.encode("red 東").ids, skip_special_tokens=False).endswith("[UNK]")
