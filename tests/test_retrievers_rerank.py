"""Reranking: order and ties by a stub, scores of a tiny cross-encoder against the bare model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from retrieval_helpers import Ranked, SharedWords, save_tiny_cross_encoder
from storage_helpers import CORPUS

from indexes.passage import Passage, text_for_search
from retrievers.crossencoders import CrossEncoderScorer
from retrievers.errors import EncoderNotFound, InvalidRetriever, ModelUnreadable
from retrievers.hit import Hit
from retrievers.rerank import RerankRetriever

QUERIES = ["capital of france", "seine", "who discovered radium and polonium ?"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_cross_encoder(tmp_path_factory.mktemp("cross") / "model")


@pytest.fixture(scope="module")
def scorer(model: Path) -> CrossEncoderScorer:
    return CrossEncoderScorer(model, device="cpu", batch_size=3)


def test_order_and_stable_ties_by_hand() -> None:
    # Words shared with "is the river of": p1 is, the, of = 3; p2 3; p3 is, river = 2 ("The" is
    # another word), p4 0, p5 is, the, of... = "is the largest city of": 3; p6 0.
    hits = RerankRetriever(Ranked(CORPUS), SharedWords()).search("is the river of", 6)
    assert [(hit.passage.id, hit.score) for hit in hits] == [
        ("p1", 3.0), ("p2", 3.0), ("p5", 3.0), ("p3", 2.0), ("p4", 0.0), ("p6", 0.0),
    ]  # fmt: skip
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6]
    assert all(hit.passage is CORPUS[int(hit.passage.id[1]) - 1] for hit in hits)
    backwards = RerankRetriever(Ranked(CORPUS[::-1]), SharedWords()).search("is the river of", 4)
    assert [hit.passage.id for hit in backwards] == ["p5", "p2", "p1", "p3"]


def test_top_or_k_candidates_are_read() -> None:
    below = Ranked(CORPUS)
    reranked = RerankRetriever(below, SharedWords(), top=2)
    assert [hit.passage.id for hit in reranked.search("largest city", 1)] == ["p1"]
    assert reranked.search("largest city", 5)[0].passage.id == "p5"
    assert reranked.search_many(["", "x"], 1)[0] == []
    assert [k for _, k in below.asked] == [2, 5, 2]


def test_scores_are_the_bare_model_s(model: Path, scorer: CrossEncoderScorer) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    bare = AutoModelForSequenceClassification.from_pretrained(model).eval()
    found = RerankRetriever(Ranked(CORPUS), scorer).search_many(QUERIES, 6)
    for query, hits in zip(QUERIES, found, strict=True):
        expected = {}
        for passage in CORPUS:
            pair = tokenizer(query, text_for_search(passage), return_tensors="pt")
            with torch.no_grad():
                expected[passage.id] = float(bare(**pair).logits[0, 0])
        assert {hit.passage.id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-5)
        assert [hit.passage.id for hit in hits] == sorted(expected, key=expected.__getitem__)[::-1]


def test_a_score_does_not_depend_on_its_neighbours(scorer: CrossEncoderScorer) -> None:
    texts = [text_for_search(passage) for passage in CORPUS]
    pairs = [(query, text) for query in QUERIES for text in texts]
    together = scorer.score(pairs)
    alone = np.concatenate([scorer.score([pair]) for pair in pairs[:7]])
    np.testing.assert_allclose(together[:7], alone, atol=1e-5)
    twice = scorer.score([*pairs, *pairs[::-1]])
    assert twice[: len(pairs)].tolist() == twice[len(pairs) :][::-1].tolist()
    assert scorer.score([]).shape == (0,)


def test_equal_texts_keep_their_order(scorer: CrossEncoderScorer) -> None:
    same = [Passage(str(number), "", "the seine is a river") for number in range(40)]
    hits = RerankRetriever(Ranked(same), scorer).search("seine", 40)
    assert [hit.passage.id for hit in hits] == [str(number) for number in range(40)]


def test_long_texts_are_cut_to_what_the_model_reads(scorer: CrossEncoderScorer) -> None:
    # The tokenizer of the tiny model names no limit; the model has 64 positions.
    long = [Passage("long", "", "river " * 5_000), *CORPUS]
    assert len(RerankRetriever(Ranked(long), scorer).search("seine " * 16_667, 7)) == 7


def test_fingerprints_tell_models_and_settings_apart(model: Path, tmp_path: Path) -> None:
    other = save_tiny_cross_encoder(tmp_path / "other", seed=1)
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    scorers = [CrossEncoderScorer(model), CrossEncoderScorer(copy)]
    assert scorers[0].fingerprint == scorers[1].fingerprint
    below = Ranked(CORPUS)
    variants = [
        RerankRetriever(below, scorers[0]),
        RerankRetriever(below, scorers[0], top=7),
        RerankRetriever(Ranked(CORPUS, "another"), scorers[0]),
        RerankRetriever(below, CrossEncoderScorer(other)),
        RerankRetriever(below, CrossEncoderScorer(model, max_length=16)),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_what_cannot_score_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for missing in (tmp_path / "empty", tmp_path / "nowhere", "nobody/no-such-cross-encoder"):
        with pytest.raises(EncoderNotFound):
            CrossEncoderScorer(missing)
    with pytest.raises(ModelUnreadable, match="3 scores"):
        CrossEncoderScorer(save_tiny_cross_encoder(tmp_path / "three", labels=3))
    broken = Path(shutil.copytree(model, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"garbage")
    with pytest.raises(ModelUnreadable, match="cannot be loaded"):
        CrossEncoderScorer(broken)
    for settings in ({"batch_size": 0}, {"max_length": 0}):
        with pytest.raises(InvalidRetriever):
            CrossEncoderScorer(model, **settings)
    with pytest.raises(InvalidRetriever):
        RerankRetriever(Ranked(CORPUS), SharedWords(), top=0)


def test_scores_that_are_no_numbers_are_an_error() -> None:
    class Broken(SharedWords):
        def score(self, pairs: object) -> np.ndarray:
            return np.full(len(CORPUS), np.nan)

    with pytest.raises(ModelUnreadable, match="finite"):
        RerankRetriever(Ranked(CORPUS), Broken()).search("x", 2)


def test_hits_are_hits() -> None:
    hit = RerankRetriever(Ranked(CORPUS), SharedWords()).search("radium.", 1)[0]
    assert hit == Hit(CORPUS[3], 1.0, 1)
