"""When an answer ends: the share of the IsUse group against Retrieve behind a segment."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_rag import ListRetriever, Script, nodes, passages, scripted

from decoding.errors import ConfigurationError
from selfrag.calibration import Calibration

# Behind the first segment: IsUse .4 + .2, Retrieve .2 + .1, so IsUse has two thirds of the two.
SCRIPT: Script = {
    "### Response:\n": {"[Retrieval]": 1.0},
    "w1</paragraph>": {"[Relevant]": 1.0},
    "[Relevant]": {"a": 1.0},
    "a": {"[Fully supported]": 1.0},
    "[Relevant]a[Fully supported]": {
        "[Utility:5]": 0.4,
        "[Utility:1]": 0.2,
        "[Retrieval]": 0.2,
        "[No Retrieval]": 0.1,
    },
    "[Utility:5]": {"</s>": 1.0},
}


def segments(script: Script = SCRIPT, calibration: Any = None, **config: Any) -> int:
    rag, _ = scripted(
        script, ListRetriever(passages("w1")), calibration=calibration, max_segments=3, **config
    )
    with rag:
        answer = rag.ask("Q?")
    assert nodes(answer)
    return len(answer.segments)


@pytest.mark.parametrize(("least", "count"), [(None, 1), (0.66, 1), (0.67, 3), (1.0, 3)])
def test_the_share_decides(least: float | None, count: int) -> None:
    assert segments(end_threshold=least) == count


def test_it_may_end_what_would_go_on() -> None:
    """[Retrieval] is the most probable token, and IsUse has .45 of the two."""
    behind = {"[Retrieval]": 0.55, "[Utility:5]": 0.25, "[Utility:4]": 0.2}
    script = {**SCRIPT, "[Relevant]a[Fully supported]": behind}
    assert segments(script) == 3
    assert segments(script, end_threshold=0.5) == 3
    assert segments(script, end_threshold=0.45 - 1e-9) == 1


def test_the_end_of_text_stays_the_end() -> None:
    behind = {"</s>": 0.6, "[Retrieval]": 0.3, "[Utility:5]": 0.1}
    assert segments({**SCRIPT, "[Relevant]a[Fully supported]": behind}, end_threshold=1.0) == 1


def test_a_calibrated_threshold_counts_where_the_configuration_names_none() -> None:
    calibration = Calibration(end_threshold=0.9)
    assert segments(calibration=calibration) == 3
    assert segments(calibration=calibration, end_threshold=0.5) == 1


def test_it_is_a_share() -> None:
    with pytest.raises(ConfigurationError, match="end_threshold"):
        segments(end_threshold=1.5)
