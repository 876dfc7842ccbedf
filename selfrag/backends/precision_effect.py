"""What a precision does to the reflection tokens: by how much their probabilities move.

The exact engine decodes; the rounded one is then given the very same ids (`forced_ids`), so that
both read the same positions of the same text and nothing but the rounding differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from decoding.backend import Backend
from decoding.generation import Draft, Generation
from decoding.prompt import PromptBuilder
from decoding.scores import shares
from decoding.vocabulary import GroupName, ReflectionVocabulary

COUNTRIES = (
    ("Burkina Faso", "Ouagadougou", "The White Volta rises north of it."),
    ("Gabon", "Libreville", "Most of it is covered by rain forest."),
    ("Mongolia", "Ulaanbaatar", "Its winters are long and cold."),
    ("Paraguay", "Asuncion", "It has no coast."),
    ("Latvia", "Riga", "It lies on the Baltic Sea."),
    ("Laos", "Vientiane", "The Mekong forms much of its western border."),
    ("Malawi", "Lilongwe", "A long lake lies along its eastern border."),
    ("Fiji", "Suva", "It is made up of more than three hundred islands."),
)
"""Country, capital, and something else that is true of it."""


@dataclass(frozen=True, slots=True)
class GroupEffect:
    """What rounding does to one group of reflection tokens.

    Attributes:
        positions: how many were compared; 0 makes the other numbers None.
        largest, mean: difference of a token's probability within its group: the largest of all,
            and the mean over positions of the largest at each.
        changed: share of positions at which another token of the group is the most probable.
    """

    positions: int
    largest: float | None
    mean: float | None
    changed: float | None


def measure_effect(
    exact: Backend,
    rounded: Backend,
    vocabulary: ReflectionVocabulary,
    prompts: Sequence[tuple[int, ...]],
    max_tokens: int = 40,
) -> dict[GroupName, GroupEffect]:
    """Compare two engines of one checkpoint.

    Args:
        exact, rounded: the engines.
        vocabulary: of the checkpoint.
        prompts: ids; each is answered by `exact`, up to the end of text or `max_tokens`.
        max_tokens: see `prompts`.
    """
    read = vocabulary.read_ids
    written = _run(
        exact,
        [Generation(ids, max_tokens, vocabulary.eos_ids, read_ids=read) for ids in prompts],
    )
    same = _run(
        rounded,
        [
            Generation(
                ids,
                len(draft.token_ids),
                vocabulary.eos_ids,
                forced_ids=draft.token_ids,
                read_ids=read,
            )
            for ids, draft in zip(prompts, written, strict=True)
        ],
    )
    differences: dict[GroupName, list[tuple[float, bool]]] = {
        group.name: [] for group in vocabulary.groups
    }
    for draft, other in zip(written, same, strict=True):
        for position, values in draft.readings.items():
            name, difference, changed = _compare(vocabulary, values, other.readings[position])
            differences[name].append((difference, changed))
    return {name: _effect(found) for name, found in differences.items()}


def effect_prompts(prompts: PromptBuilder) -> list[tuple[int, ...]]:
    """Prompts without a passage, with the passage that answers, and with one that does not."""
    made = []
    for index, (country, capital, aside) in enumerate(COUNTRIES):
        question = prompts.question(f"What is the capital of {country}?")
        fitting = prompts.passage(country, f"{capital} is the capital of {country}. {aside}")
        other, _, its_aside = COUNTRIES[index - 1]
        made += [question, question + fitting, question + prompts.passage(other, its_aside)]
    return made


def effect_to_dict(effect: dict[GroupName, GroupEffect]) -> dict[str, Any]:
    """Plain data."""
    return {name: asdict(found) for name, found in effect.items()}


def _compare(
    vocabulary: ReflectionVocabulary, exact: Sequence[float], rounded: Sequence[float]
) -> tuple[GroupName, float, bool]:
    """The group that the exact engine thinks of most, and how its shares differ."""
    start, best = 0, (-float("inf"), 0)
    spans = []
    for group in vocabulary.groups:
        end = start + len(group.ids)
        spans.append((group.name, start, end))
        best = max(best, (max(exact[start:end]), len(spans) - 1))
        start = end
    name, start, end = spans[best[1]]
    ours, theirs = shares(exact[start:end]), shares(rounded[start:end])
    if ours is None or theirs is None:
        return name, 1.0, True
    difference = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    return name, difference, ours.index(max(ours)) != theirs.index(max(theirs))


def _effect(found: Sequence[tuple[float, bool]]) -> GroupEffect:
    if not found:
        return GroupEffect(0, None, None, None)
    values = [difference for difference, _ in found]
    changed = sum(flag for _, flag in found) / len(found)
    return GroupEffect(len(found), max(values), sum(values) / len(values), changed)


def _run(backend: Backend, generations: Sequence[Generation]) -> list[Draft]:
    order = {backend.submit(generation): at for at, generation in enumerate(generations)}
    drafts: dict[int, Draft] = {}
    while len(drafts) < len(order):
        backend.step()
        for ticket, draft in backend.poll():
            drafts[order[ticket]] = draft
    return [drafts[at] for at in range(len(generations))]
