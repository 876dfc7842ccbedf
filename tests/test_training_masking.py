"""The loss counts what the model writes: all after the prompt but the insides of paragraphs."""

import pytest

from selfrag.training.masking import IGNORED, mask_labels

OPEN, CLOSE = 5, 6
X = IGNORED


def masked(output: list[int]) -> list[int]:
    return mask_labels([1, 9, 9, *output], 3, OPEN, CLOSE)


def test_prompt_is_not_counted() -> None:
    assert masked([11, 12]) == [X, X, X, 11, 12]


def test_one_paragraph() -> None:
    assert masked([10, OPEN, 20, 21, CLOSE, 11, 2]) == [X, X, X, 10, OPEN, X, X, X, 11, 2]


def test_several_paragraphs_are_each_masked() -> None:
    output = [10, OPEN, 20, CLOSE, 11, 10, OPEN, 21, CLOSE, 12, 2]
    assert masked(output) == [X, X, X, 10, OPEN, X, X, 11, 10, OPEN, X, X, 12, 2]


def test_adjacent_and_empty_paragraphs() -> None:
    assert masked([OPEN, CLOSE, OPEN, 20, CLOSE, 11]) == [X, X, X, OPEN, X, OPEN, X, X, 11]


def test_a_truncated_paragraph_is_inside_to_the_end() -> None:
    assert masked([10, OPEN, 20, 21]) == [X, X, X, 10, OPEN, X, X]
    assert masked([10, OPEN]) == [X, X, X, 10, OPEN]


def test_a_second_opening_is_inside_and_a_lone_closing_is_counted() -> None:
    assert masked([OPEN, OPEN, 20, CLOSE, 11]) == [X, X, X, OPEN, X, X, X, 11]
    assert masked([CLOSE, 11]) == [X, X, X, CLOSE, 11]


def test_a_paragraph_in_the_prompt_does_not_count() -> None:
    assert mask_labels([1, OPEN, 20, 11], 3, OPEN, CLOSE) == [X, X, X, 11]


def test_prompt_length_is_checked() -> None:
    with pytest.raises(ValueError, match="prompt_length"):
        mask_labels([1, 2], 3, OPEN, CLOSE)
    assert mask_labels([], 0, OPEN, CLOSE) == []
