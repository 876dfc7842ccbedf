"""A trained critic: judges questions in batches, with exact probabilities of the labels.

This module knows nothing of training and of measuring.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfrag.training.critic.card import CriticCard
from selfrag.training.critic.errors import CorruptCritic, QuestionTooLong
from selfrag.training.critic.features import ReadQuestion
from selfrag.training.critic.network import Network
from selfrag.training.critic.questions import CriticQuestion, Judgement, Unjudged
from selfrag.training.errors import UnusableBase


@dataclass(slots=True)
class CriticUsage:
    """What a critic has read so far.

    Attributes:
        asked: questions. cut: those whose passage or preceding text was cut.
        refused: those left unjudged.
    """

    asked: int = 0
    cut: int = 0
    refused: int = 0


class ModelCritic:
    """A `Critic` that is a model of one's own.

    Attributes:
        card: what it is.
        usage: what it has read so far; it grows with every call.
    """

    def __init__(self, network: Network, card: CriticCard, *, batch: int = 32) -> None:
        self.card = card
        self.name = f"model:{card.name}"
        self.usage = CriticUsage()
        self._network = network
        self._batch = batch

    @classmethod
    def from_folder(
        cls, folder: str | Path, *, device: str | None = None, batch: int = 32
    ) -> ModelCritic:
        """Load a critic that `train_critic` saved.

        Args:
            folder: with `critic.json`.
            device: "cpu", "cuda", ...; None takes a GPU where there is one.
            batch: questions that are computed at once.

        Raises:
            CorruptCritic: files are missing, damaged or do not fit together.
        """
        import torch

        folder = Path(folder)
        card = CriticCard.load(folder)
        network = load_network(folder, card)
        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        network.module.to(chosen).eval()
        return cls(network, card, batch=batch)

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        """One result for each question, in order; the most probable label, the first of equal ones.

        Unjudged: a question of a group without training data, or one that is too long.
        """
        results: list[Judgement | Unjudged] = []
        for question, scores in zip(questions, self.scores(questions), strict=True):
            if isinstance(scores, Unjudged):
                results.append(scores)
                continue
            values = tempered(scores, self.card.temperature(question.group))
            probabilities = dict(zip(question.labels, values, strict=True))
            label = max(question.labels, key=lambda one: probabilities[one])
            results.append(Judgement(question, label, self.name, probabilities))
        return results

    def scores(self, questions: Sequence[CriticQuestion]) -> list[list[float] | Unjudged]:
        """The log-probabilities of each question's labels before any temperature, in order."""
        results: dict[int, list[float] | Unjudged] = {}
        alike: dict[tuple[str, tuple[str, ...]], list[tuple[int, ReadQuestion]]] = defaultdict(list)
        for place, question in enumerate(questions):
            self.usage.asked += 1
            try:
                if question.group not in self.card.counts:
                    trained = ", ".join(self.card.counts)
                    reason = f"not trained for {question.group}, only for {trained}"
                    results[place] = Unjudged(question, reason)
                    continue
                read = self._network.reader.read(question)
            except QuestionTooLong as error:
                results[place] = Unjudged(question, error.message)
                continue
            self.usage.cut += read.cut > 0
            alike[question.group, question.labels].append((place, read))
        self.usage.refused += len(results)
        for (group, labels), members in alike.items():
            # Rows of like length go together, so that little is filled up.
            members.sort(key=lambda member: len(member[1].ids))
            for start in range(0, len(members), self._batch):
                chosen = members[start : start + self._batch]
                scored = self._network.scores([read for _, read in chosen], labels, group)
                for (place, _), row in zip(chosen, scored, strict=True):
                    results[place] = row
        return [results[place] for place in range(len(questions))]


def tempered(scores: Sequence[float], temperature: float) -> list[float]:
    """softmax(scores / temperature): probabilities in sum 1 (Guo et al., 2017, equation 9)."""
    best = max(scores)
    parts = [math.exp((score - best) / temperature) for score in scores]
    total = math.fsum(parts)
    return [part / total for part in parts]


def load_network(folder: Path, card: CriticCard) -> Network:
    """The model in a critic's folder, on the CPU. CorruptCritic where its files do not fit."""
    from safetensors import SafetensorError

    from selfrag.training.critic.heads import HeadsNetwork
    from selfrag.training.critic.language import LanguageNetwork

    kind = HeadsNetwork if card.kind == "encoder" else LanguageNetwork
    try:
        network: Network = kind.load(folder, card.context)
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError, UnusableBase) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CorruptCritic(
            f"The model in {folder} cannot be loaded: {lines[0]}.",
            "Copy the whole folder, or train the critic again.",
        ) from error
    return network
