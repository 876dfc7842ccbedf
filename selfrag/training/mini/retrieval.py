"""What the embedded encoder trains on: questions, their passages, and passages that look similar.

Questions come from the training phrasings in `selfrag.training.mini.schemas`, never from an
evaluation set. The hard negative is another passage about the same thing half of the time, and a
passage that states the same relation of another thing otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from selfrag.training.encoder import Triple
from selfrag.training.mini.schemas import Entity, training_pairs


def training_triples(entities: Sequence[Entity], rounds: int, seed: int) -> list[Triple]:
    """`rounds` differently phrased questions for each passage and relation, shuffled."""
    rng = Random(seed)
    triples: list[Triple] = []
    for _ in range(rounds):
        pairs = [(q, title, f"{title} {text}") for q, title, text in training_pairs(entities, rng)]
        passages_of: dict[str, list[str]] = defaultdict(list)
        for _, title, passage in pairs:
            passages_of[title].append(passage)
        for index, (question, title, passage) in enumerate(pairs):
            same = [other for other in passages_of[title] if other != passage]
            if same and rng.random() < 0.5:
                negative = rng.choice(same)
            else:
                negative = _other(pairs, index, title, rng)
            triples.append((question, passage, negative))
    rng.shuffle(triples)
    return triples


def _other(pairs: Sequence[tuple[str, str, str]], index: int, title: str, rng: Random) -> str:
    """A passage about another thing, from the neighbourhood: neighbours are of the same kind."""
    for _ in range(20):
        other = min(max(index + rng.randint(-200, 200), 0), len(pairs) - 1)
        if pairs[other][1] != title:
            return pairs[other][2]
    return pairs[(index + 1) % len(pairs)][2]
