"""The retrieval benchmark: measures by hand, its files, and one run from end to end."""

from __future__ import annotations

import gzip
import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_helpers import CORPUS, HashEncoder, steady

from indexes.passage import Passage
from selfrag.evaluation.memory import peak_memory, reset_peak_memory
from selfrag.evaluation.questions import UnusableFile
from selfrag.evaluation.retrieval_benchmark import NAMES, run_benchmark, shuffle
from selfrag.evaluation.retrieval_measures import Estimate, ceiling, ndcg, p_value, recall
from selfrag.evaluation.retrieval_questions import GoldQuestion, read_gold_questions
from selfrag.evaluation.retrieval_vectors import CachedEncoder, choose_encoder

SCRIPT = Path(__file__).parent.parent / "scripts" / "benchmark_retrieval.py"


def gold(*groups: set[int]) -> tuple[frozenset[int], ...]:
    return tuple(frozenset(group) for group in groups)


def test_recall_counts_a_piece_of_evidence_once() -> None:
    wanted = gold({1}, {2, 3})
    assert recall([3, 2, 1], wanted, 2) == 0.5
    assert recall([3, 2, 1], wanted, 3) == 1.0
    assert recall([], wanted, 5) == 0.0


def test_ndcg_by_hand() -> None:
    # Two gold passages at ranks 2 and 3: (1/log2 3 + 1/log2 4) / (1/log2 2 + 1/log2 3).
    assert ndcg([9, 1, 2], gold({1}, {2})) == pytest.approx((0.63093 + 0.5) / 1.63093, abs=1e-5)
    assert ndcg([1, 2], gold({1}, {2})) == 1.0
    assert ndcg([2, 3], gold({2, 3})) == 1.0
    assert ndcg([9] * 10 + [1], gold({1})) == 0.0


def test_a_question_with_more_gold_than_k_lowers_the_ceiling() -> None:
    golds = [gold({1}, {2}, {3}, {4}), gold({1})]
    assert ceiling(golds, 2) == 0.75
    assert ceiling(golds, 5) == 1.0


def test_intervals_hold_the_mean_and_equal_values_leave_no_doubt() -> None:
    estimate = Estimate.of(np.array([0.0, 1.0] * 50))
    assert estimate.mean == 0.5
    assert estimate.interval is not None
    # The normal approximation: 0.5 ± 1.96 * 0.5 / 10.
    assert estimate.interval == pytest.approx((0.402, 0.598), abs=0.02)
    assert Estimate.of(np.ones(3)).interval == (1.0, 1.0)
    assert Estimate.of(np.ones(1)).interval is None


def test_the_paired_test_by_hand() -> None:
    # Four differences of +1: of 16 sign patterns two are as extreme, so p = 1/8.
    assert p_value(np.ones(4), np.zeros(4)) == pytest.approx(0.125)
    assert p_value(np.ones(4), np.ones(4)) == 1.0


@steady
@given(st.integers(1, 30), st.integers(0, 5))
def test_a_shuffle_keeps_every_passage_and_says_where_it_went(count: int, seed: int) -> None:
    corpus = [Passage(f"old-{number}", f"t{number}", "x") for number in range(count)]
    shuffled, places = shuffle(corpus, seed)
    assert sorted(places) == list(range(count))
    assert [shuffled[place].title for place in places] == [p.title for p in corpus]
    assert [passage.id for passage in shuffled] == [f"passage-{n}" for n in range(count)]


def write_lines(path: Path, *lines: dict[str, Any]) -> Path:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def test_gold_comes_from_qrels_then_ids_then_titles(tmp_path: Path) -> None:
    corpus = [*CORPUS, Passage("p7", "Paris", "Paris again.")]
    questions = write_lines(
        tmp_path / "q.jsonl.gz",
        {"_id": 1, "question": "a", "gold_ids": ["p4"], "gold_titles": ["Berlin"]},
        {"id": "2", "question": "b", "gold_ids": ["p4", "p4"], "gold_titles": ["Berlin"]},
        {"question": "c", "gold_titles": ["Paris", "Berlin"]},
        {"question": "d", "gold_titles": ["Paris", "Rome"]},
    )
    qrels = write_lines(tmp_path / "r.jsonl", {"id": "1", "gold_ids": ["p1", "p3"]})
    read = read_gold_questions(questions, qrels, corpus)
    assert [question.gold for question in read.questions] == [
        gold({0}, {2}),
        gold({3}),
        gold({0, 6}, {1}),
    ]
    assert read.left_out == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"question": "a"}, "no gold"),
        ({"question": "", "gold_ids": ["p1"]}, "must be a text"),
        ({"question": "a", "gold_ids": "p1"}, "Give a list"),
        ({"question": "a", "gold_ids": ["other"]}, "belong together"),
    ],
)
def test_unusable_questions_are_refused(tmp_path: Path, line: dict[str, Any], message: str) -> None:
    with pytest.raises(UnusableFile, match=message):
        read_gold_questions(write_lines(tmp_path / "q.jsonl", line), None, CORPUS)


class CountingEncoder(HashEncoder):
    """Counts the passages that it encodes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0

    def encode_passages(self, passages: Sequence[Passage]) -> npt.NDArray[np.float32]:
        self.encoded += len(passages)
        return super().encode_passages(passages)


def test_a_second_run_encodes_nothing_whatever_the_order(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    first = CachedEncoder(encoder, CORPUS, tmp_path)
    shuffled, places = shuffle(CORPUS, 3)
    second = CachedEncoder(encoder, shuffled, tmp_path)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert encoder.encoded == len(CORPUS)
    expected = HashEncoder().encode_passages(list(CORPUS))
    assert np.array_equal(second.encode_passages(shuffled)[places], expected)
    assert second.dimension == encoder.dimension
    with pytest.raises(KeyError):
        second.encode_passages([Passage("x", "", "unknown")])


def test_an_encoder_that_is_asked_for_is_chosen() -> None:
    assert choose_encoder("folder").location == "folder"
    assert Path(choose_encoder(None).location, "modules.json").is_file()


def test_figures_do_not_depend_on_where_the_passages_stood() -> None:
    questions = [
        GoldQuestion("capital of Germany", gold({1})),
        GoldQuestion("river in the capital of France", gold({0}, {2})),
    ]
    runs = run_benchmark(CORPUS, questions, HashEncoder(), shuffles=2)
    assert [run.name for run in runs] == list(NAMES)
    for run in runs:
        assert run.by_shuffle["recall@10"] == [1.0, 1.0] or run.name == "bm25"
        assert run.values["recall@2"].shape == (2,)
        assert run.index_bytes > 0
        assert len(run.seconds) == 4
    sizes = {run.name: run.index_bytes for run in runs}
    assert sizes["bm25"] < sizes["hybrid"] < sizes["graph"]


def test_peak_memory_is_that_of_a_time_of_choice() -> None:
    if not reset_peak_memory():
        pytest.skip("this system does not tell")
    before = peak_memory()
    block = np.ones(8_000_000)
    held = peak_memory()
    assert before is not None and held is not None
    assert held - before > 0.8 * block.nbytes


def test_the_script_prints_every_retriever_and_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("retrievers.encoders.Encoder", lambda location: HashEncoder())
    corpus = write_lines(tmp_path / "c.jsonl", *(passage.to_dict() for passage in CORPUS))
    questions = write_lines(
        tmp_path / "q.jsonl",
        {"question": "What is the capital of Germany?", "gold_titles": ["Berlin"]},
        {"question": "Who discovered radium?", "gold_ids": ["p4"]},
        {"question": "Not asked", "gold_ids": ["p1"]},
    )
    main = runpy.run_path(str(SCRIPT), run_name="benchmark_retrieval")["main"]
    arguments = ["--corpus", str(corpus), "--questions", str(questions), "--limit", "2"]
    assert main([*arguments, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert set(values) == {*NAMES, "best", "benchmark"}
    for name in (*NAMES, "best"):
        assert 0 <= values[name]["recall@2"] <= values[name]["recall@5"] <= 1
        assert {"recall@10", "ndcg@10", "queries_per_second", "index_bytes"} <= set(values[name])
        assert {"peak_memory_bytes", "open_seconds", "p_value"} <= set(values[name])
    assert values["best"]["p_value"] == 1.0
    assert values["benchmark"]["questions"] == 2
    assert values["benchmark"]["ceilings"] == {"recall@2": 1.0, "recall@5": 1.0, "recall@10": 1.0}
    assert main(arguments) == 0
    assert "queries per second" in capsys.readouterr().out


def test_the_script_explains_a_missing_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(SCRIPT), run_name="benchmark_retrieval")["main"]
    corpus = write_lines(tmp_path / "c.jsonl", *(passage.to_dict() for passage in CORPUS))
    missing = str(tmp_path / "none.jsonl")
    assert main(["--corpus", str(corpus), "--questions", missing]) == 2
    assert "none.jsonl" in capsys.readouterr().err
