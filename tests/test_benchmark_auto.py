"""The benchmark of `auto`: texts, interpolation, curves and sizes by hand, one run end to end."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storage_helpers import HashEncoder

from selfrag.evaluation.auto_benchmark import Benchmark, kept, ratios, run
from selfrag.evaluation.auto_extrapolation import Rates, extrapolate
from selfrag.evaluation.auto_index import write_vectors
from selfrag.evaluation.auto_match import NEIGHBOURS, RESIDUALS, split_rows
from selfrag.evaluation.auto_report import plot, tables
from selfrag.evaluation.auto_speed import measure_speed
from selfrag.evaluation.interpolation import Interpolation, extended, nearest_neighbours, slerp
from selfrag.evaluation.questions import UnusableFile
from selfrag.evaluation.real_texts import collect_texts, in_order, passages_in, sentences_in
from selfrag.evaluation.recall_curves import Curve, curves_of, matched, recall_of


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_passages_are_found_by_their_keys() -> None:
    row = {
        "text": "one",
        "title": "no",
        "ctxs": [{"text": "two", "score": "1"}],
        "choices": {"text": ["not", "these"]},
        "context": [["title", ["three a.", " three b."]]],
        "paragraphs": [{"title": "no", "text": "four", "gold": True}],
    }
    assert list(passages_in(row)) == ["one", "two", "three a. three b.", "four"]
    assert list(passages_in({"context": "five"})) == ["five"]


def test_sentences_are_neither_headings_nor_lists() -> None:
    text = "Short one. This sentence is  long enough. // Refined, and long enough too. " + "X" * 601
    assert list(sentences_in(text)) == [
        "This sentence is long enough.",
        "Refined, and long enough too.",
    ]


def test_texts_are_distinct_and_their_order_is_their_own(tmp_path: Path) -> None:
    rows = [
        {"question": "Which question is this one?", "text": "This sentence stands here twice."},
        {"text": "This sentence stands here twice. Which question is this one?"},
        {"question": 3, "context": "Another sentence stands here."},
    ]
    for name, order in (("a", rows), ("b", rows[::-1])):
        (tmp_path / name).mkdir()
        with gzip.open(tmp_path / name / "file.jsonl.gz", "wt") as stream:
            stream.write("".join(json.dumps(row) + "\n" for row in order))
    sentences, questions = collect_texts(tmp_path / "a")
    assert sorted(sentences) == [
        "Another sentence stands here.",
        "This sentence stands here twice.",
    ]
    assert questions == ["Which question is this one?"]
    assert collect_texts(tmp_path / "b") == (sentences, questions)
    assert in_order(["a", "b", "c", "d"], 0) != in_order(["a", "b", "c", "d"], 1)
    with pytest.raises(UnusableFile, match="no jsonl file"):
        collect_texts(tmp_path / "a" / "b")
    (tmp_path / "a" / "bad.jsonl").write_text("{")
    with pytest.raises(UnusableFile, match=r"bad\.jsonl cannot be read"):
        collect_texts(tmp_path / "a")


def test_slerp_by_hand() -> None:
    first, second = np.eye(3, dtype=np.float32)[[0, 0, 0]], np.eye(3, dtype=np.float32)[[1, 1, 0]]
    points = slerp(first, second, np.array([1 / 3, 1.0, 0.7]))
    # A third of a right angle is 30 degrees; between equal points there is one point.
    expected = [[np.sqrt(0.75), 0.5, 0], [0, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(points, expected, atol=1e-6)


@given(st.integers(0, 100), st.floats(0, 1))
def test_a_point_on_an_arc_divides_its_angle(seed: int, share: float) -> None:
    first, second = unit(1, 5, seed=seed), unit(1, 5, seed=seed + 1000)
    point = slerp(first, second, np.array([share]))
    angle = np.arccos(np.clip((first * second).sum(), -1, 1))
    assert np.isclose(np.linalg.norm(point), 1, atol=1e-5)
    # Compared as cosines: arccos loses precision near 1.
    assert np.isclose((first * point).sum(), np.cos(share * angle), atol=1e-4)
    assert np.isclose((second * point).sum(), np.cos((1 - share) * angle), atol=1e-4)


def test_neighbours_are_those_of_the_sorted_products() -> None:
    vectors = unit(60, 6)
    near = nearest_neighbours(vectors, 5)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    np.testing.assert_array_equal(near, np.argsort(-products, axis=1)[:, :5])
    with pytest.raises(ValueError, match="no 60 neighbours"):
        nearest_neighbours(vectors, 60)


def test_among_equal_vectors_none_is_its_own_neighbour() -> None:
    vectors = np.repeat(unit(2, 4), 10, axis=0)
    near = nearest_neighbours(vectors, 3)
    assert near.shape == (20, 3)
    assert not (near == np.arange(20)[:, None]).any()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 130))
def test_new_vectors_have_length_one_and_follow_from_the_seed(seed: int, rows: int) -> None:
    vectors = unit(40, 8)
    near = nearest_neighbours(vectors, 4)
    made = np.concatenate(list(extended(vectors, near, rows, Interpolation(4, 0.5, seed))))
    again = np.concatenate(list(extended(vectors, near, rows, Interpolation(4, 0.5, seed))))
    assert made.shape == (rows, 8) and made.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(made, again)


def test_a_whole_residual_leads_as_far_from_the_point_as_the_real_vector_lies() -> None:
    """Here a model's neighbours, and so the point with t = 0 or 1, are the model's own place."""
    place, angle = np.eye(6, dtype=np.float32)[0], 0.4
    away = unit(50, 5, seed=3)
    around = np.hstack([np.full((50, 1), np.cos(angle)), np.sin(angle) * away]).astype(np.float32)
    vectors = np.concatenate([np.repeat(place[None], 3, axis=0), around])
    near = np.tile(np.array([0, 1], dtype=np.int32), (53, 1))
    made = {part: next(extended(vectors, near, 53, Interpolation(2, part))) for part in (0.0, 1.0)}
    models = np.random.default_rng(0).permutation(53)
    # Without a residual: on the arc from the model to the place, never further than the model.
    cosines = made[0.0] @ place
    assert (cosines >= np.cos(angle) - 1e-5).all() and cosines.min() < np.cos(0.2)
    # The same draws with a whole one: at 0.4 from that point, but where model or giver is a place.
    real = models >= 3
    turned = np.einsum("ij,ij->i", made[0.0], made[1.0])[real]
    assert np.isclose(turned, np.cos(angle), atol=1e-3).mean() > 0.8
    assert (np.isclose(turned, np.cos(angle), atol=1e-3) | np.isclose(turned, 1, atol=1e-3)).all()


def test_interpolation_needs_two_neighbours() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Interpolation(neighbours=1)
    with pytest.raises(ValueError, match="from 0 to 1"):
        Interpolation(residual=1.5)


def test_recall_by_hand() -> None:
    assert recall_of(np.array([[1, 2, 9], [5, 6, 7]]), np.array([[2, 1], [8, 7]])) == 0.75
    curve = Curve("x", (1, 2), (0.5, 0.9), (0.7, 0.85))
    assert curve.difference == pytest.approx(0.2)
    assert json.loads(json.dumps(curve.to_dict()))["made"] == [0.7, 0.85]


@pytest.mark.filterwarnings("ignore")
def test_equal_sets_have_equal_curves_that_rise() -> None:
    vectors, questions = unit(1500, 16), unit(40, 16, seed=9)
    points = curves_of(vectors, questions)
    curves = matched(points, curves_of(vectors.copy(), questions))
    assert [curve.name.split(" ")[0] for curve in curves] == ["IVF64,Flat", "PQ2", "HNSW32,Flat"]
    for curve in curves:
        assert curve.difference == 0
        assert list(curve.real[:4]) == sorted(curve.real[:4]) and curve.real[-1] > 0.6
    assert curves[0].real[-1] == 1.0  # 64 of 64 lists
    with pytest.raises(ValueError, match="not of the same settings"):
        matched(points, {})


def test_splits_are_disjoint() -> None:
    compared, rest = split_rows(1000, 0.54)
    assert (len(compared), len(rest)) == (540, 460)
    assert not set(compared.tolist()) & set(rest.tolist())
    assert len(split_rows(300_000, 0.54)[0]) == 100_000


def test_sizes_of_wikipedia_by_hand() -> None:
    rates = Rates(code=1e-8, centroid=1e-7, candidate=1e-6, process=200_000_000, crowding=2.0)
    figures = {
        figure.name: figure for figure in extrapolate(21_015_324, 768, 4 * 10**9, 650, rates)
    }
    # IVF8192,PQ96: 96 bytes a code and 8 a number; 181 lists are read at first.
    assert figures["codes"].value == 21_015_324 * 96
    assert figures["centroids"].value == 8192 * 768 * 4
    assert figures["vectors for exact scores"].value == 32_279_537_664
    index = 21_015_324 * 104 + 8192 * 768 * 4 + 256 * 768 * 4
    assert figures["index file"].value == index
    assert figures["resident at most"].value == index + 200_000_000 < 4e9
    assert figures["on disk"].value == index + 32_279_537_664 + 21_015_324 * (650 + 16)
    assert figures["coarse search"].value == pytest.approx(8192e-7)
    assert figures["scan"].value == pytest.approx(181 / 8192 * 21_015_324 * 2 * 1e-8)
    assert figures["exact scores"].value == pytest.approx(160e-6)
    total = 8192e-7 + 181 / 8192 * 21_015_324 * 2e-8 + 160e-6
    assert figures["query, warm"].value == pytest.approx(total)
    assert figures["query, candidates from the disk"].value == pytest.approx(total + 160e-4)
    assert all(figure.derivation for figure in figures.values())
    with pytest.raises(ValueError, match="no inverted lists"):
        extrapolate(100, 16, 10**9, 650, rates)


def test_searches_take_turns() -> None:
    asked: list[tuple[str, int]] = []

    def search(name: str):  # type: ignore[no-untyped-def]
        return lambda questions, k: asked.append((name, len(questions)))

    questions = unit(10, 4)
    speeds = measure_speed(
        {"a": search("a"), "b": search("b")}, questions, rounds=2, singles=2, batches=1
    )
    turn = [[(name, 1), (name, 1), (name, 64)] for name in "abab"]
    assert asked[4:] == [call for calls in turn for call in calls]
    assert speeds["a"].single > 0 and speeds["b"].batch > 0
    values = {name: speed.to_dict() for name, speed in speeds.items()}
    assert values["a"]["single_queries_per_second"] == 1 / speeds["a"].single


def test_ratios_are_to_the_faster_exact_search() -> None:
    kinds = ("single", "single_processor", "batch", "batch_processor")
    speeds = {
        name: {f"{kind}_seconds": seconds for kind in kinds}
        for name, seconds in (("faiss exact", 8.0), ("flat", 6.0), ("auto", 2.0))
    }
    assert ratios(speeds) == dict.fromkeys(kinds, 3.0)


def test_files_appear_when_they_are_whole(tmp_path: Path) -> None:
    real = unit(3, 4)
    write_vectors(tmp_path / "v.npy", real, iter([unit(2, 4, seed=1)]), 5)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy")[:3], real)
    with pytest.raises(ValueError, match="3 vectors were made; 5"):
        write_vectors(tmp_path / "w.npy", real, iter(()), 5)
    assert not (tmp_path / "w.npy").exists()
    write_vectors(tmp_path / "w.npy", real, iter(()), 2)
    assert np.load(tmp_path / "w.npy").shape == (2, 4)
    assert kept(tmp_path / "x.json", lambda: [1]) == kept(tmp_path / "x.json", lambda: [2]) == [1]


@pytest.mark.filterwarnings("ignore")
def test_a_run_from_end_to_end_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import selfrag.evaluation.auto_benchmark as module

    monkeypatch.setattr(module, "code_seconds", lambda *sizes: (1e-8, 1e-7))
    monkeypatch.setattr("indexes.choice.EXACT_LIMIT", 500)
    data = tmp_path / "data"
    data.mkdir()
    rows = [
        {
            "question": f"What is word{n} and word{n % 7}?",
            "text": f"A word{n} of word{n % 11} lies.",
        }
        for n in range(600)
    ]
    (data / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    benchmark = Benchmark(
        data,
        tmp_path / "work",
        real=600,
        rows=1500,
        questions=30,
        memory=10**6,
        threads=1,
        rounds=1,
    )
    encoder = HashEncoder(dimension=16)
    stages: list[str] = []
    values = run(benchmark, encoder, lambda stage, done, total: stages.append(stage))
    assert values["auto"]["factory"] == "IVF64,PQ8x4fsr"
    assert 0.5 < values["searches"]["recall"] <= 1
    assert values["searches"]["rates"]["crowding"] > 0
    splits = values["match"]["splits"]
    assert [split["split"] for split in splits] == ["half", "fifth"]
    assert (splits[1]["compared"], splits[1]["made_of"]) == (500, 100)
    tried = values["match"]["tried"]
    best = min(tried, key=lambda one: one["off"])
    assert best["residual"] == values["match"]["residual"]
    assert len(tried) == len(RESIDUALS) * len(NEIGHBOURS)
    assert values["resident"]["asked_all"] >= values["resident"]["asked_own"] > 0
    assert {"fitting", "matching", "extending", "adding", "searching"} <= set(stages)
    assert run(benchmark, encoder, lambda stage, done, total: None) == values
    assert len(tables(json.loads(json.dumps(values)))) == 5


def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    curve = Curve("IVF4 by nprobe", (1, 2), (0.5, 0.9), (0.7, 0.85)).to_dict()
    speed = {"single_queries_per_second": 3.0, "batch_queries_per_second": 9.0}
    values = {
        "match": {"splits": [{"compared": 5, "made_of": 4, "curves": [curve]}]},
        "searches": {"speeds": {"faiss exact": speed, "flat": speed, "auto": speed}},
    }
    files = plot(values, tmp_path / "plots")
    assert [file.read_bytes()[:4] for file in files] == [b"\x89PNG"] * 2
