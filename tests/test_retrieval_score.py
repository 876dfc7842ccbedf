"""The retriever's own score in the choice of an answer."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_rag import ListRetriever, Script, nodes, passages, scripted

from retrievers.hit import Hit
from selfrag.calibration import Calibration


class ScoredRetriever(ListRetriever):
    """Gives its passages with these scores."""

    def __init__(self, *scores: float) -> None:
        super().__init__(passages("p", "q"))
        self._scores = scores

    def search(self, query: str, k: int) -> list[Hit]:
        pairs = zip(self._found, self._scores, strict=True)
        return [Hit(passage, score, rank) for rank, (passage, score) in enumerate(pairs, start=1)]


def answer(*scores: float, calibration: Any = None, **config: Any) -> Any:
    rag, _ = scripted(
        SCRIPT,
        ScoredRetriever(*scores),
        calibration=calibration,
        mode="always",
        form="short",
        **config,
    )
    with rag:
        return rag.ask("Q")


SCRIPT: Script = {
    "p</paragraph>": {"[Relevant]": 0.6, "[Irrelevant]": 0.4},
    "q</paragraph>": {"[Relevant]": 0.7, "[Irrelevant]": 0.3},
    "p</paragraph>[Relevant]": {"A": 1.0},
    "q</paragraph>[Relevant]": {"B": 1.0},
    "[Relevant]A": {"[Fully supported]": 1.0},
    "[Relevant]B": {"[Fully supported]": 1.0},
    "[Fully supported]": {"[Utility:5]": 1.0},
    "[Utility:5]": {"</s>": 1.0},
    "": {"[Retrieval]": 1.0},
}


@pytest.mark.parametrize(
    ("weight", "chosen"),
    [(None, "B"), (0.0, "B"), (0.15, "B"), (0.25, "A")],
)
def test_the_weight_decides_by_hand(weight: float | None, chosen: str) -> None:
    # s_ret is 1 and .5 / 1; the second leads by .1 in s_rel, so the first wins from w_ret .2 up
    found = answer(1.0, 0.5, w_ret=weight)
    assert found.text == chosen
    first, second = nodes(found)[1:3]
    assert (first["scores"]["ret"], second["scores"]["ret"]) == (1.0, 0.5)
    difference = second["scores"]["final"] - first["scores"]["final"]
    assert difference == pytest.approx(0.1 - 0.5 * (weight or 0.0), abs=1e-6)


def test_scores_that_say_nothing_change_nothing() -> None:
    found = answer(0.0, 0.0, w_ret=5.0)
    assert found.text == "B"
    assert nodes(found)[1]["scores"]["ret"] is None


def test_a_calibrated_weight_counts_where_the_configuration_names_none() -> None:
    calibrated = Calibration(w_ret=3.0)
    assert answer(1.0, 0.5, calibration=calibrated).text == "A"
    assert answer(1.0, 0.5, calibration=calibrated, w_ret=0.0).text == "B"
    released = answer(1.0, 0.5, calibration=calibrated, procedure="released-short")
    assert released.text.startswith("B")
