"""What a question gets back: the answer, its segments, citations, decisions and cost.

Frozen values with `to_dict` / `from_dict` and a schema version. A measurement that was not made
is `None`, never a made-up number. How the values are computed is `selfrag.controller`'s affair;
how the tree is drawn is `selfrag.trace`'s.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from indexes.passage import Passage

SCHEMA_VERSION = 1

NOT_FOUND = "No supported answer was found."


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision to retrieve, to go on without, or to keep the evidence (paper, section 3.3).

    Attributes:
        depth: number of segments written before it (0: the bare question).
        action: what was done.
        p_retrieve: p(Retrieval) / (p(Retrieval) + p(No Retrieval)); None when not measured.
        p_continue: share of `[Continue to Use Evidence]` in the Retrieve group, or None.
        mass: probability of the whole Retrieve group at that position, or None.
        threshold: what `p_retrieve` was compared with, or None when a mode or text decided.
        reason: "threshold", "mode", "uncertain", "token", "text" or "no_passages"; in the released
            procedures also "log_ratio" (`p_retrieve` is the ratio of the *logarithms*) and
            "no_threshold".
        node: id of the tree node at which it was taken.
    """

    depth: int
    action: Literal["retrieve", "continue", "no_retrieval", "text"]
    p_retrieve: float | None
    p_continue: float | None
    mass: float | None
    threshold: float | None
    reason: str
    node: int


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that a segment rests on; `number` is what `[1]` in the rendered text refers to."""

    number: int
    passage_id: str
    title: str
    text: str
    segments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of the answer with the measurements of section 3.3 of the paper.

    Attributes:
        text: the segment's own text, exactly as the model wrote it, without control tokens.
        passage_id: the passage it was written from, or None.
        citation: number of that passage's citation, or None when it is not cited.
        action: what preceded it ("retrieve", "continue", "no_retrieval" or "text").
        p_retrieve: retrieval ratio at the boundary in front of it.
        p_relevant: p(Relevant) / (p(Relevant) + p(Irrelevant)).
        p_supported: {"fully", "partially", "no"} normalised over the group, or None.
        utility: expected utility in [-1, 1] (weights -1, -1/2, 0, 1/2, 1), only at the very end.
        sequence: exp of the mean log-probability of its text tokens.
        score: the hypothesis score F after this segment.
        relevance_forced: the IsRel token was not the vocabulary's most probable one.
    """

    text: str
    passage_id: str | None
    citation: int | None
    action: Literal["retrieve", "continue", "no_retrieval", "text"]
    p_retrieve: float | None
    p_relevant: float | None
    p_supported: Mapping[str, float] | None
    utility: float | None
    sequence: float | None
    score: float
    relevance_forced: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a question cost.

    How long a branch that was given up would have become is not known; `unwritten_tokens` is the
    most that it could have been. The true saving is measured by asking without pruning, see
    `scripts/benchmark_pruning.py`.

    Attributes:
        prompt_tokens: of the branches that were asked for, whether computed or found in a cache.
        generated_tokens: appended to any branch, also those that a store had.
        expansions: branches that were asked for.
        retrievals: calls of the retriever.
        passages: different ones that it found.
        cached: branches and decisions that a store had whole.
        pruned: branches given up because they could not change the answer, before or after they
            were asked for.
        seconds: from the moment the question was submitted.
        pruned_tokens: those of `generated_tokens` that such branches had written.
        unwritten_tokens: how many more they could have written, at most.
        cached_tokens: those of `generated_tokens` that a store had.
        model_calls: branches, resumed branches and decisions that went to the model.
    """

    prompt_tokens: int = 0
    generated_tokens: int = 0
    expansions: int = 0
    retrievals: int = 0
    passages: int = 0
    cached: int = 0
    pruned: int = 0
    seconds: float = 0.0
    pruned_tokens: int = 0
    unwritten_tokens: int = 0
    cached_tokens: int = 0
    model_calls: int = 0

    @property
    def saved_at_most(self) -> float | None:
        """The largest share of tokens that pruning can have saved; None where none was written."""
        whole = self.generated_tokens + self.unwritten_tokens
        return self.unwritten_tokens / whole if whole else None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    `text` is the answer as plain text without citation marks. `answerable` is None where nothing
    was calibrated; False when retrieval was wanted and the best hypothesis stays under the
    calibrated thresholds: then `text` says that nothing supported was found and `draft` keeps
    what the model wrote. `status` is "complete", "budget" (a budget or deadline ended the
    search; the best so far is here), "not_found", "refused" (the input could not be asked) or
    "failed". `tree` is the whole search as plain data (see `selfrag.trace`).
    """

    question: str
    text: str
    segments: tuple[Segment, ...]
    citations: tuple[Citation, ...]
    decisions: tuple[Decision, ...]
    usage: Usage
    warnings: tuple[str, ...] = ()
    answerable: bool | None = None
    draft: str | None = None
    status: Literal["complete", "budget", "not_found", "refused", "failed"] = "complete"
    score: float | None = None
    choice: str | None = None
    option_scores: Mapping[str, float] | None = None
    procedure: str = "paper"
    configuration: Mapping[str, Any] = field(default_factory=dict)
    tree: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self, *, tree: bool = False) -> dict[str, Any]:
        """Plain data; the tree only when asked for, since it is large."""
        shown = self if tree else dataclasses.replace(self, tree={})  # a tree is long to copy
        data: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(shown)}
        data["usage"]["saved_at_most"] = self.usage.saved_at_most
        if not tree:
            del data["tree"]
        return data

    def to_json(self, *, tree: bool = False, indent: int | None = None) -> str:
        """JSON text of `to_dict`."""
        return json.dumps(self.to_dict(tree=tree), ensure_ascii=False, indent=indent)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Answer:
        """Inverse of `to_dict`; an unknown schema version is refused."""
        values = dict(data)
        version = values.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            raise ValueError(
                f"answer schema version {version!r}; this release reads {SCHEMA_VERSION}"
            )
        values["segments"] = tuple(Segment(**item) for item in values["segments"])
        values["citations"] = tuple(
            Citation(**{**item, "segments": tuple(item["segments"])})
            for item in values["citations"]
        )
        values["decisions"] = tuple(Decision(**item) for item in values["decisions"])
        usage = {key: value for key, value in values["usage"].items() if key != "saved_at_most"}
        values["usage"] = Usage(**usage)
        values["warnings"] = tuple(values.get("warnings", ()))
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Answer:
        """Inverse of `to_json`."""
        return cls.from_dict(json.loads(text))

    def to_markdown(self) -> str:
        """The text with numbered citation marks, and the cited passages below it."""
        from selfrag.rendering import answer_to_markdown

        return answer_to_markdown(self)

    def to_networkx(self) -> Any:
        """The search tree as a `networkx.DiGraph`."""
        from selfrag.trace import tree_to_networkx

        return tree_to_networkx(self.tree)

    def _repr_html_(self) -> str:
        from selfrag.rendering import answer_to_html

        return answer_to_html(self)


@dataclass(frozen=True, slots=True)
class Budget:
    """Hard limits for one question; None is no limit. Checked when made.

    `max_generated_tokens` counts every token appended to any branch, `max_retrievals` every call
    of the retriever, `max_seconds` wall-clock time from the moment the question is submitted.
    Where the tokens may run out nothing is pruned, so that they go as far as without pruning.
    """

    max_generated_tokens: int | None = None
    max_retrievals: int | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_generated_tokens", "max_retrievals", "max_seconds"):
            value = getattr(self, name)
            kinds = int | float if name == "max_seconds" else int
            number = isinstance(value, kinds) and not isinstance(value, bool)
            if value is not None and not (number and value >= 0):
                kind = "a number" if name == "max_seconds" else "a whole number"
                raise ValueError(f"Budget.{name} is {value!r}; it must be None or {kind} from 0 up")


@dataclass(frozen=True, slots=True)
class Question:
    """One question with everything that belongs to it alone.

    `options` maps an option's key to its text for closed-set tasks ({"A": "Paris", ...} or
    {"true": "true", "false": "false"}); `passages`, when given, replaces the retriever.
    `instruction`, when given, says what to do with the question: it takes the template's
    `### Instruction:` part and the question its `### Input:` part. Retrieval asks for `text` only.
    """

    text: str
    passages: tuple[Passage, ...] | None = None
    options: Mapping[str, str] | None = None
    instruction: str | None = None
