"""The numbers of the graph retriever."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from retrievers.errors import InvalidRetriever


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """How the walk is made; the defaults were chosen on MuSiQue train and 2Wiki questions.

    Attributes:
        depth: how many first hits are asked for.
        seeds: how many of them are seeds.
        named_share: the share of the seeds' weight for passages that the query names.
        alias_weight: of a title without its bracket among the query's names; a title has 1.
        entity_weight: of another capitalised name among them.
        rank_offset: a hit of rank r stands at offset / (offset + r - 1).
        floor: attraction of a passage that is no first hit; a first hit adds its standing.
        damping: the probability to go on instead of starting again.
        follow, to_titled, to_same_title: see `retrievers.pagerank`.
        liked: how much more a name weighs for the standing of the passages that bear it.
        entity_mention: weight of a mentioned name that is no title; a title has 1.
        asked: weight of a mention of a name that stands in the query.
        context: how much more a mention weighs for a word of the query right beside it; less for
            one that stands farther off.
        context_hits: in how many first hits mentions are looked at.
        before, after: how many characters beside a mention are looked at.
        mix: weight of the standing in the first ranking in the walk's score.
        steps: how many steps the walk makes at most.
        partners: how many passages are tried as the first of a pair (`retrievers.evidence`); 0
            leaves the ranking as the walk made it.
        candidates: how many passages are judged in pairs, from each of three sources: a quarter
            of it from the first ranking, half of it from the walk, and the whole of it from ties.

    Raises:
        InvalidRetriever: a number is out of range.
    """

    depth: int = 100
    seeds: int = 10
    named_share: float = 0.7
    alias_weight: float = 0.5
    entity_weight: float = 0.3
    rank_offset: float = 5.0
    floor: float = 0.05
    damping: float = 0.7
    follow: float = 0.9
    to_titled: float = 0.9
    to_same_title: float = 0.5
    liked: float = 1.0
    entity_mention: float = 0.3
    asked: float = 0.3
    context: float = 4.0
    context_hits: int = 10
    before: int = 50
    after: int = 60
    mix: float = 0.1
    steps: int = 8
    partners: int = 12
    candidates: int = 160

    def __post_init__(self) -> None:
        shares = ("named_share", "follow", "to_titled", "to_same_title")
        checks = {
            "at least 1": [
                (n, getattr(self, n) >= 1) for n in ("depth", "seeds", "steps", "candidates")
            ],
            "from 0 to 1": [(n, 0 <= getattr(self, n) <= 1) for n in shares],
            "from 0 to below 1": [("damping", 0 <= self.damping < 1)],
            "more than 0": [(n, getattr(self, n) > 0) for n in ("rank_offset", "floor")],
            "0 or more": [(n, value >= 0) for n, value in asdict(self).items()],
        }
        for allowed, results in checks.items():
            for name, fine in results:
                if not fine:
                    raise InvalidRetriever(
                        f"The graph setting {name} is {getattr(self, name)!r}.",
                        f"It must be {allowed}.",
                    )
