"""What can be chosen when generator data are made, checked when it is said.

Defaults are ours; `GeneratorDataOptions.paper()` gives what the published scripts do (Self-RAG,
appendix A.3, and `postprocess_data.py`). This module knows nothing of rows and critics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from decoding.config import LaterQuery
from decoding.vocabulary import GROUPS
from selfrag.training.errors import InvalidOptions

Unfound = Literal["refuse", "drop", "tell"]

_CHOOSING = ("seed", "partially", "no_support", "unfound", "utility")
_RETRIEVING = ("passages", "gold_in_query", "query", "ensure_evidence", "longest_passage")
_SHARES = (
    "partially",
    "no_support",
    "beside",
    "told_refusals",
    "negatives",
    "keep_no_retrieval",
)
_BRANCH_LABELS = (*GROUPS["IsRel"], *GROUPS["IsSup"])


@dataclass(frozen=True, slots=True)
class GeneratorDataOptions:
    """How generator data are made.

    Attributes:
        seed: of everything that is drawn; each draw depends on it and on the row's id alone.
        shortest_sentence: characters; a shorter sentence joins its neighbour where an output has
            more than two. The published script leaves such sentences without tokens.
        passages: candidates for each segment.
        gold_in_query: ask for passages with the text that they shall support, as published; else
            with what an answering model knows: the instruction and the segment before.
        query: what is asked for later segments, see `decoding.config.DecodingConfig.query`.
        ensure_evidence: where a segment's evidence is known and none of it was found, put the first
            that can be had among the candidates.
        longest_passage: characters of title and text; candidates beyond are left out and reported.
        partially, no_support: how probably a passage that supports a part of a sentence, or nothing
            of it, is chosen where none supports it fully.
        unfound: what follows where the chosen passage is irrelevant: "refuse" ends the output with
            `refusal`; "tell" writes the sentence all the same, as published; "drop" the row.
        refusal: the sentence that refuses; it gets `[Utility:1]`.
        utility: 1 to 5, of outputs that neither source nor critic rates (gold evidence does not say
            it); they are counted. None drops their rows.
        trees: every judged candidate is a branch; False gives the paper's chains.
        told: in trees, how many relevant passages beside the chosen one get the sentence and its
            support; others end with their judgement.
        beside: in trees, how probably one irrelevant passage of a segment goes on with what it does
            say, where the source row has that (`asides`): fully supported, `[Utility:1]`.
        told_refusals: in trees, the share of irrelevant branches that go on with `refusal`.
        learn_unsupported: whether sentences behind `[No support / Contradictory]` or `[Irrelevant]`
            are to be learnt; they are only judged otherwise.
        negatives: in chains, how probably a row brings a second one whose first passage is
            irrelevant, with `refusal`.
        keep_no_retrieval: share of the rows that are kept of those that need no passage at all.
        keep_utility: utility -> share of its rows that is kept; 1 where it is not named.
        keep_branches: IsRel or IsSup token -> share of the branches beside the chosen one that is
            kept.

    Raises:
        InvalidOptions: a value is not allowed.
    """

    seed: int = 1
    shortest_sentence: int = 30
    passages: int = 5
    gold_in_query: bool = False
    query: LaterQuery = "question+segment"
    ensure_evidence: bool = True
    longest_passage: int = 8000
    partially: float = 0.7
    no_support: float = 0.25
    unfound: Unfound = "refuse"
    refusal: str = "I do not know."
    utility: int | None = None
    trees: bool = True
    told: int = 1
    beside: float = 0.5
    told_refusals: float = 0.1
    learn_unsupported: bool = False
    negatives: float = 0.0
    keep_no_retrieval: float = 1.0
    keep_utility: Mapping[int, float] = field(default_factory=dict, hash=False)
    keep_branches: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in _SHARES:
            _require(_is_share(getattr(self, name)), name, getattr(self, name), "from 0 to 1")
        for name, least in (
            ("passages", 1),
            ("longest_passage", 1),
            ("shortest_sentence", 0),
            ("told", 0),
        ):
            value = getattr(self, name)
            _require(type(value) is int and value >= least, name, value, f"whole, from {least} up")
        _require(type(self.seed) is int, "seed", self.seed, "a whole number")
        _require(self.unfound in get_args(Unfound), "unfound", self.unfound, f"{get_args(Unfound)}")
        _require(self.query in get_args(LaterQuery), "query", self.query, f"{get_args(LaterQuery)}")
        _require(self.utility in (None, 1, 2, 3, 4, 5), "utility", self.utility, "1 to 5, or None")
        _require(bool(self.refusal.strip()), "refusal", self.refusal, "a sentence")
        for name, allowed in (
            ("keep_utility", tuple(range(1, 6))),
            ("keep_branches", _BRANCH_LABELS),
        ):
            for key, value in getattr(self, name).items():
                _require(key in allowed, name, key, f"shares of {allowed}")
                _require(_is_share(value), f"{name}[{key!r}]", value, "from 0 to 1")

    @classmethod
    def paper(cls, **changes: Any) -> GeneratorDataOptions:
        """The published procedure: chains, gold in the query, four in ten rows without retrieval.
        Its mistakes are not repeated: an irrelevant passage is one that was judged so."""
        published = cls(
            passages=10,
            gold_in_query=True,
            ensure_evidence=False,
            unfound="tell",
            trees=False,
            learn_unsupported=True,
            keep_no_retrieval=0.4,
        )
        return replace(published, **changes)

    def retrieving(self) -> dict[str, Any]:
        """What decides which candidates a segment has."""
        return {name: getattr(self, name) for name in _RETRIEVING}

    def choosing(self) -> dict[str, Any]:
        """What decides which candidate is chosen."""
        return {name: getattr(self, name) for name in _CHOOSING}

    def making(self) -> dict[str, Any]:
        """What decides which rows are made of a judged output, as JSON values."""
        before = {*_CHOOSING, *_RETRIEVING, "shortest_sentence"} - {"seed", "unfound"}
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values = {name: value for name, value in values.items() if name not in before}
        for name in ("keep_utility", "keep_branches"):
            values[name] = {str(key): share for key, share in sorted(values[name].items())}
        return values

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = asdict(self)
        values["keep_utility"] = {str(key): share for key, share in self.keep_utility.items()}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GeneratorDataOptions:
        """The options that `to_dict` or a configuration file wrote; what is missing has its
        default. InvalidOptions where a key is unknown or a value is not allowed."""
        known = [one.name for one in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise InvalidOptions(f"Unknown options {unknown}.", f"Allowed: {known}.")
        given = dict(values)
        try:
            if "keep_utility" in given:
                shares = given["keep_utility"].items()
                given["keep_utility"] = {int(key): share for key, share in shares}
            return cls(**given)
        except (AttributeError, TypeError, ValueError) as error:
            if isinstance(error, InvalidOptions):
                raise
            raise InvalidOptions(f"Options cannot be read: {error}.", "Mend them.") from None


def _is_share(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]


def _require(holds: bool, name: str, got: object, allowed: str) -> None:
    if not holds:
        raise InvalidOptions(f"The option {name} is {got!r}.", f"Allowed: {allowed}.")
