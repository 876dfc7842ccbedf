"""Answers of the requests that need no passage."""

import re
from random import Random

import pytest

from selfrag.training.mini.asides import request
from selfrag.training.mini.asides.arithmetic import arithmetic, number_words
from selfrag.training.mini.asides.quantities import (
    CHANGE,
    COMPARISONS,
    MEASURES,
    quantity,
)
from selfrag.training.mini.asides.rewriting import PARTED, SORTS, rewriting, rewritten
from selfrag.training.mini.asides.rewriting_shapes import SHAPES
from selfrag.training.mini.asides.rewriting_word_shapes import WORD_SHAPES
from selfrag.training.mini.asides.stories import STORIES, story
from selfrag.training.mini.asides.talk import NAMED_TALK, SMALL_TALK

DRAWS = 3000


@pytest.fixture(scope="module")
def quantities() -> list[tuple[str, str]]:
    rng = Random(3)
    return [quantity(rng) for _ in range(60_000)]


@pytest.fixture(scope="module")
def sums() -> list[tuple[str, str]]:
    rng = Random(5)
    return [arithmetic(rng) for _ in range(60_000)]


def words(rng: Random) -> str:
    return rng.choice(("Ulm", "grey otter", "the Isle of Varn", "Mira Holt", "small tin lamp"))


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("repeat", "The grey Otter"),
        ("upper", "THE GREY OTTER"),
        ("lower", "the grey otter"),
        ("title", "The Grey Otter"),
        ("sentence", "The grey otter"),
        ("reverse", "Otter grey The"),
        ("mirror", "rettO yerg ehT"),
        ("alphabet", "grey Otter The"),
        ("count words", "3"),
        ("count letters", "12"),
        ("first letter", "T"),
        ("last letter", "r"),
        ("initials", "TGO"),
        ("second", "grey"),
        ("drop first", "grey Otter"),
        ("drop last", "The grey"),
        ("times", "The grey Otter The grey Otter The grey Otter"),
        ("underscores", "The_grey_Otter"),
        ("together", "ThegreyOtter"),
        ("and", "The grey Otter and Ulm"),
        ("or", "The grey Otter or Ulm"),
        ("colon", "The grey Otter:"),
        ("dots", "The grey Otter..."),
        ("square", "[The grey Otter]"),
        ("stars", "*The grey Otter*"),
        ("loud", "THE GREY OTTER!"),
    ],
)
def test_rewritten(sort: str, expected: str) -> None:
    assert rewritten(sort, "The grey Otter", "Ulm", times=3) == expected


def test_every_task_on_a_phrase_has_wordings_of_its_own() -> None:
    assert set(SORTS) == set(SHAPES) | set(WORD_SHAPES)
    assert not set(SHAPES) & set(WORD_SHAPES)
    assert set(PARTED) <= set(SORTS)
    owner: dict[str, str] = {}
    for sort, shapes in {**SHAPES, **WORD_SHAPES}.items():
        assert len(set(shapes)) == len(shapes), sort
        for shape in shapes:
            assert "{t}" in shape or "{p}" in shape
            if sort != "reverse":  # of two words the same as to swap them
                assert owner.setdefault(shape, sort) == sort


def test_a_task_names_its_phrase_and_leaves_no_slot() -> None:
    rng = Random(1)
    for _ in range(DRAWS):
        text, answer = rewriting(rng, words)
        assert text and answer
        assert not re.search(r"\{\w\}", text + answer)


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


@pytest.mark.parametrize("sort", sorted(STORIES))
def test_a_story_holds_each_of_its_numbers(sort: str) -> None:
    for shape in STORIES[sort]:
        assert shape.count("{a}") >= 1 and "{b}" in shape
        assert ("{c}" in shape) == (len(sort) == 2)


def test_the_result_of_a_story_follows_from_its_numbers() -> None:
    rng = Random(2)
    for _ in range(DRAWS):
        text, answer = story(rng)
        found, [result] = numbers(text), numbers(answer)
        assert result >= 0
        assert not re.search(r"\{\w\}", text)
        if len(found) == 2:
            one, two = sorted(found, reverse=True)
            assert result in (one + two, one - two, one * two, one / two)
        elif len(set(found)) == 3:
            one, two, three = found
            assert result in (one + two + three, one + two - three, one * two, one // two)


@pytest.mark.parametrize(
    ("start", "check"),
    [
        (r"Is (\d+) bigger than (\d+)\?", lambda a, b: "Yes." if a > b else "No."),
        (r"Is (\d+) less than (\d+)\?", lambda a, b: "Yes." if a < b else "No."),
        (r"Does (\d+) equal (\d+)\?", lambda a, b: "Yes." if a == b else "No."),
        (r"Is (\d+) odd\?", lambda a: "Yes." if a in range(1, 100, 2) else "No."),
        (r"Next number after (\d+)", lambda a: f"The result is {a + 1}."),
        (r"Which number precedes (\d+)\?", lambda a: f"The result is {a - 1}."),
        (r"How many minutes are in (\d+) hours\?", lambda a: f"The result is {60 * a}."),
        (r"(\d+) days make how many weeks\?", lambda a: f"The result is {a / 7:.0f}."),
        (r"Average (\d+) and (\d+)", lambda a, b: f"The result is {(a + b) / 2:.0f}."),
        (r"Change from (\d+) for a price of (\d+)\?", lambda a, b: f"The result is {a - b}."),
        (r"The maximum of (\d+), (\d+) and (\d+)\?", lambda *n: f"The result is {max(n)}."),
        (r"Which is smaller, (\d+) or (\d+)\?", lambda *n: f"The result is {min(n)}."),
    ],
)
def test_quantities(start, check, quantities: list[tuple[str, str]]) -> None:
    met = 0
    for text, answer in quantities:
        if match := re.fullmatch(start, text):
            met += 1
            assert answer == check(*(int(number) for number in match.groups())), text
    assert met


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("What time is it 3 hours after 11 o'clock?", "The result is 2 o'clock."),
        ("What time was it 3 hours before 2 o'clock?", "The result is 11 o'clock."),
        ("What time is it 9 hours after 3 o'clock?", "The result is 12 o'clock."),
    ],
)
def test_the_clock_turns_at_twelve(
    text: str, answer: str, quantities: list[tuple[str, str]]
) -> None:
    assert dict(quantities)[text] == answer


def test_wordings_stand_once() -> None:
    for shapes in (COMPARISONS, MEASURES, CHANGE, *STORIES.values()):
        assert len(set(shapes)) == len(shapes)


def test_number_words() -> None:
    assert [number_words(n) for n in (0, 13, 20, 42, 99, 100)] == [
        "zero",
        "thirteen",
        "twenty",
        "forty-two",
        "ninety-nine",
        "100",
    ]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"What is (\d+) minus (\d+)\?", lambda a, b: a - b),
        (r"(\d+) take away (\d+)", lambda a, b: a - b),
        (r"Knock (\d+) off (\d+)\.?", lambda b, a: a - b),
        (r"What is (\d+) less than (\d+)\?", lambda b, a: a - b),
        (r"What is (\d+) more than (\d+)\?", lambda b, a: a + b),
        (r"Increase (\d+) by (\d+)\.?", lambda a, b: a + b),
        (r"What is (\d+) times (\d+)\?", lambda a, b: a * b),
        (r"What's (\d+) divided by (\d+)\?", lambda a, b: a // b),
        (r"(\d+) halved", lambda a: a // 2),
        (r"Quadruple (\d+)\.?", lambda a: 4 * a),
    ],
)
def test_sums(text, answer, sums: list[tuple[str, str]]) -> None:
    met = 0
    for asked, given in sums:
        if match := re.fullmatch(text, asked):
            met += 1
            result = answer(*(int(number) for number in match.groups()))
            assert given == f"The result is {result}.", asked
    assert met


def test_a_remark_has_one_answer() -> None:
    owner: dict[str, str] = {}
    for remarks, answer in SMALL_TALK:
        for remark in remarks:
            bare = remark.rstrip(".!?").lower()
            assert owner.setdefault(bare, answer) == answer, remark
    shapes = [shape for shape, _ in NAMED_TALK]
    assert len(set(shapes)) == len(shapes)
    assert all("{}" in shape for shape in shapes)


def test_requests_are_short_and_repeatable() -> None:
    one, two = Random(6), Random(6)
    for _ in range(DRAWS):
        asked = request(one, words)
        assert asked == request(two, words)
        assert all(asked) and len(asked[0]) < 300
