"""Several critics in order: each is asked what those before it could not judge.

Gold evidence first, a chat model for the rest, is the case that it is made for. It judges nothing
itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from selfrag.training.critic.questions import Critic, CriticQuestion, Judgement, Unjudged


class FirstThatKnows:
    """A critic made of critics.

    Args:
        critics: in the order in which they are asked; at least one.
    """

    def __init__(self, critics: Sequence[Critic]) -> None:
        if not critics:
            raise ValueError("FirstThatKnows needs at least one critic.")
        self.critics = tuple(critics)
        self.name = "+".join(critic.name for critic in self.critics)

    def judge(self, questions: Sequence[CriticQuestion]) -> list[Judgement | Unjudged]:
        """One result for each question, in order; where none knows, all their reasons."""
        results = self.critics[0].judge(questions)
        for critic in self.critics[1:]:
            open_places = [at for at, one in enumerate(results) if isinstance(one, Unjudged)]
            if not open_places:
                break
            answers = critic.judge([questions[at] for at in open_places])
            for at, answer in zip(open_places, answers, strict=True):
                before = results[at]
                assert isinstance(before, Unjudged)
                if isinstance(answer, Unjudged):
                    answer = Unjudged(answer.question, f"{before.reason}; {answer.reason}")
                results[at] = answer
        return results
