"""A first course: examples as rows, their tokens and labels by hand, and the file of rows."""

from __future__ import annotations

import runpy
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from transformers import PreTrainedTokenizerFast

from selfrag.training.generator.encoding import RowEncoder
from selfrag.training.generator.plan import GeneratorPlan, LlamaSize
from selfrag.training.generator.rows import read_training_rows
from selfrag.training.generator.training import train_generator
from selfrag.training.masking import IGNORED
from selfrag.training.mini.course import (
    FIRST,
    CoursePlan,
    course_rows,
    example_row,
    judged_row,
    write_course,
)
from selfrag.training.mini.example import (
    CONTINUE,
    FULLY,
    NO_SUPPORT,
    RELEVANT,
    RETRIEVAL,
    Example,
    Judged,
    Segment,
    helpless,
)
from selfrag.training.mini.mixture import Shares
from selfrag.training.mini.schemas import Entity, read_entities
from selfrag.training.mini.texts import tokenizer_texts
from selfrag.training.mini.tokenizer import train_tokenizer
from selfrag.training.mini.world import WorldPlan
from selfrag.training.recipe import Recipe
from selfrag.training.rows import TrainingRow

ROOT = Path(__file__).parent.parent
RIGHT = Segment(RETRIEVAL, "It is Ab.", ("Cd", "Cd is Ab."), RELEVANT, FULLY)
SECOND = Segment(RETRIEVAL, "Ab is big.", ("Ab", "Ab is big."), RELEVANT, FULLY)
BESIDE = helpless(("Ef", "Ef is old."), "It is old.")
WRONG = Segment(RETRIEVAL, "It is Gh.", ("Cd", "Cd is Ab."), RELEVANT, NO_SUPPORT, learnt=False)

Parts = list[tuple[str, bool | str]]
"""Texts that are read, each with whether it is learnt, or with what is learnt in its place."""
PROMPT: Parts = [("### Instruction:\nWhat is Cd?\n\n### Response:\n", False)]
FOUND: Parts = [
    ("[Retrieval]<paragraph>", True),
    ("Cd\nCd is Ab.</paragraph>", False),
    ("[Relevant]It is Ab.[Fully supported]", True),
]
OTHER: Parts = [("[Retrieval]<paragraph>", True), ("Ef\nEf is old.</paragraph>", False)]


class Drawn(Random):
    """Gives these numbers."""

    def __init__(self, *numbers: float) -> None:
        super().__init__(0)
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)


@pytest.fixture(scope="module")
def entities() -> list[Entity]:
    return list(read_entities())


@pytest.fixture(scope="module")
def tokenizer(entities: list[Entity]) -> PreTrainedTokenizerFast:
    return train_tokenizer(islice(tokenizer_texts(entities), 1000), 600)


def expected(
    tokenizer: PreTrainedTokenizerFast, paths: list[Parts]
) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Ids and labels of each path, text by text."""
    found = set()
    for parts in paths:
        ids, labels = [1], [IGNORED]
        for text, learnt in parts:
            tokens = tokenizer(text, add_special_tokens=False).input_ids
            ids += tokens
            if isinstance(learnt, str):
                labels += tokenizer(learnt, add_special_tokens=False).input_ids
            else:
                labels += tokens if learnt else [IGNORED] * len(tokens)
        found.add((tuple(ids), tuple(labels)))
    return found


def encoded(
    tokenizer: PreTrainedTokenizerFast, row: TrainingRow
) -> set[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Ids and labels on the way to each token that predicts no other; each stands once."""
    tree = RowEncoder(tokenizer).encode(row)
    predicting = set(tree.before.tolist())
    paths, met = set(), set()
    for leaf in range(len(tree)):
        if leaf in predicting:
            continue
        path = [leaf]
        while tree.before[path[-1]] >= 0:
            path.append(int(tree.before[path[-1]]))
        path.reverse()
        paths.add((tuple(tree.ids[path].tolist()), tuple(tree.labels[path].tolist())))
    for ids, labels in paths:
        met |= {(ids[:length], labels[:length]) for length in range(1, len(ids) + 1)}
    assert len(tree) == len(met)
    return paths


def test_an_example_is_a_chain(tokenizer: PreTrainedTokenizerFast) -> None:
    more = Segment(CONTINUE, " It is big.")
    example = Example("parts", "What is Cd?", (RIGHT, more, WRONG), 3)
    row = example_row(example, "one")
    assert row.is_chain and (row.id, row.dataset) == ("one", "parts")
    assert [one.passage.id for one in row.segments if one.passage] == ["one/0", "one/2"]
    golden: Parts = [
        *PROMPT,
        *FOUND,
        ("[Continue to Use Evidence] It is big.[Retrieval]<paragraph>", True),
        ("Cd\nCd is Ab.</paragraph>", False),
        ("[Relevant]", True),
        ("It is Gh.", False),
        ("[No support / Contradictory][Utility:3]</s>", True),
    ]
    assert encoded(tokenizer, row) == expected(tokenizer, [golden])


def test_judged_passages_are_branches(tokenizer: PreTrainedTokenizerFast) -> None:
    again = Segment(RETRIEVAL, "Cd is Ab.", ("Cd", "Cd is Ab, and old."), RELEVANT, FULLY)
    question = Judged("What is Cd?", (RIGHT, BESIDE, again))
    row = judged_row(question, "one", Drawn(0.79, 0.07, 0.81))
    assert row.dataset == "judged" and [one.parent for one in row.segments] == [-1, -1, -1]
    only_judged: Parts = [
        ("[Retrieval]<paragraph>", True),
        ("Cd\nCd is Ab, and old.</paragraph>", False),
        ("[Relevant]", True),
    ]
    golden: list[Parts] = [
        [*PROMPT, *FOUND, ("[Utility:5]</s>", True)],
        [*PROMPT, *OTHER, ("[Irrelevant]I do not know.[Utility:1]</s>", True)],
        [*PROMPT, *only_judged],
    ]
    assert encoded(tokenizer, row) == expected(tokenizer, golden)


def test_an_answer_beside_the_question_is_read_and_not_learnt(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    silent = helpless(("Ef", "Ef is long."))
    question = Judged("What is Cd?", (BESIDE, BESIDE, silent))
    row = judged_row(question, "one", Drawn(0.47, 0.49, 0.47))
    told: Parts = [
        ("[Relevant]", "[Irrelevant]"),
        ("It is old.", False),
        ("[Fully supported][Utility:1]</s>", True),
    ]
    judged: Parts = [("[Irrelevant]", True)]
    other: Parts = [("[Retrieval]<paragraph>", True), ("Ef\nEf is long.</paragraph>", False)]
    golden = [
        [*PROMPT, *OTHER, *told],
        [*PROMPT, *OTHER, *judged],
        [*PROMPT, *other, *judged],
    ]
    assert encoded(tokenizer, row) == expected(tokenizer, golden)


def test_branches_behind_a_path_that_do_not_end_the_answer(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    question = Judged("What is Cd?", (SECOND, BESIDE, BESIDE), path=(RIGHT,), last=False)
    row = judged_row(question, "one", Drawn(0.0, 0.0, 0.9))
    assert [one.parent for one in row.segments] == [-1, 0, 0, 0]
    open_end: Parts = [
        ("[Retrieval]<paragraph>", True),
        ("Ab\nAb is big.</paragraph>", False),
        ("[Relevant]Ab is big.[Fully supported]", True),
    ]
    refused: Parts = [("[Irrelevant]I do not know.[Utility:1]</s>", True)]
    golden = [[*PROMPT, *FOUND, *open_end], [*PROMPT, *FOUND, *OTHER, *refused]]
    # The last passage is that of a branch that goes on: its judgement stands once.
    assert encoded(tokenizer, row) == expected(tokenizer, golden)


def test_how_many_branches_are_told() -> None:
    rng, counts = Random(7), Counter[str]()
    question = Judged("What is Cd?", (RIGHT, BESIDE))
    for _ in range(3000):
        right, other = judged_row(question, "one", rng, 0.8).segments
        counts["answered"] += right.utility == 5
        counts["beside"] += other.accepted
        counts["refused"] += other.utility == 1 and not other.accepted
    shares = {name: count / 3000 for name, count in counts.items()}
    assert shares == pytest.approx({"answered": 0.8, "beside": 0.4, "refused": 0.08}, abs=0.03)


ALL = Shares(judged=0.4, reading=0.1, primer=0.2, requests=0.1, long=0.5)


def test_a_file_of_every_sort_is_read_as_it_was_written(
    entities: list[Entity], tmp_path: Path
) -> None:
    plan = CoursePlan(150, seed=3, shares=ALL)
    rows = list(course_rows(plan, entities))
    assert len({row.id for row in rows}) == 150
    assert rows == list(course_rows(plan, entities))
    assert rows != list(course_rows(CoursePlan(150, seed=4, shares=ALL), entities))
    path = tmp_path / "new" / "course.jsonl"
    kinds = write_course(rows, path)
    assert kinds.total() == 150 and 35 < kinds["judged"] < 85
    assert [row for _, row in read_training_rows([path])] == rows
    assert [one.name for one in path.parent.iterdir()] == ["course.jsonl"]


def test_a_file_that_was_not_finished_is_none(tmp_path: Path) -> None:
    def broken() -> Iterator[TrainingRow]:
        yield example_row(Example("answered", "What is Cd?", (RIGHT,), 5), "one")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_course(broken(), tmp_path / "course.jsonl")
    assert not (tmp_path / "course.jsonl").exists()


def test_plans_that_cannot_be(entities: list[Entity]) -> None:
    with pytest.raises(ValueError, match="rows is 0"):
        CoursePlan(0)
    with pytest.raises(ValueError, match=r"told_share is 1\.5"):
        CoursePlan(1, told_share=1.5)
    first = Counter(row.dataset for row in course_rows(CoursePlan(60), entities))
    assert CoursePlan(60).shares == FIRST and "judged" not in first


def test_the_trainer_takes_a_course(
    entities: list[Entity], tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    write_course(course_rows(CoursePlan(16, shares=ALL), entities), tmp_path / "course.jsonl")
    plan = GeneratorPlan(
        size=LlamaSize(layers=1, hidden=16, heads=2, feed_forward=16, context=1024),
        tokenizer=str(tmp_path / "tokenizer"),
        epochs=1,
        tokens=4096,
        max_length=1024,
        precision="float32",
    )
    made = train_generator([tmp_path / "course.jsonl"], tmp_path / "run", plan, lambda line: None)
    assert (made.rows.kept, made.rows.dropped) == (16, {}) and made.rows.branched > 0
    assert made.steps > 0 and (made.model / "model.safetensors").exists()


def test_the_script_keeps_a_tokenizer_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script, out = ROOT / "scripts" / "make_course.py", tmp_path / "course.jsonl"
    (tmp_path / "tokenizer").mkdir()
    arguments = (
        f"{out} --rows 12 --judged-share 1 --primer-share 0 --tokenizer {out.parent}/tokenizer"
    )
    monkeypatch.setattr(sys, "argv", ["make_course.py", *arguments.split()])
    runpy.run_path(str(script), run_name="__main__")
    assert [row.dataset for _, row in read_training_rows([out])] == ["judged"] * 12
    assert "12 rows" in capsys.readouterr().out
    assert not list((tmp_path / "tokenizer").iterdir())
    monkeypatch.setattr(
        sys, "argv", ["make_course.py", str(out), "--rows", "1", "--judged-share", "2"]
    )
    with pytest.raises(SystemExit):
        runpy.run_path(str(script), run_name="__main__")


def second_course(world: WorldPlan) -> bool:
    """Whether every sort of request is there, those without retrieval in a tenth of the rows."""
    counts = {name: count for name, count in vars(world).items() if name not in ("seed", "judged")}
    return min(counts.values()) > 0 and counts["requests"] > 0.1 * sum(counts.values())


def test_the_recipes_of_the_embedded_model_are_valid() -> None:
    first = GeneratorPlan.load(ROOT / "scripts" / "recipes" / "mini_first.yaml")
    recipe = Recipe.load(ROOT / "scripts" / "recipes" / "mini.yaml")
    assert recipe.stages == ("sources", "index", "generator-data", "generator", "evaluation")
    assert recipe.sources is not None and isinstance(recipe.sources.world, WorldPlan)
    assert second_course(recipe.sources.world)
    assert recipe.generator_data_critics == ("gold",)
    second = recipe.generator
    assert second is not None and first.size is not None
    assert second.max_length <= first.size.context and second.size is None
    assert (first.schedule, first.decay) == ("constant", 0.0)
