"""Random scripts for a scripted backend: what a model might write, drawn from a seed."""

from __future__ import annotations

import random

from scripted_rag import CONTINUE, NO_SUPPORT, Script

SUPPORT = ("[Fully supported]", "[Partially supported]", NO_SUPPORT)
NAMES = ("w1", "w2", "w3", "w4")


def random_row(draw: random.Random, pieces: list[str], mass: float = 1.0) -> dict[str, float]:
    weights = [draw.random() ** 3 + 1e-3 for _ in pieces]
    return {p: mass * w / sum(weights) for p, w in zip(pieces, weights, strict=True)}


def random_script(draw: random.Random) -> Script:
    """Each passage has a text of its own, judged at random and ended in one of many ways."""
    script: Script = {}

    def write(end: str, letters: str, most: int) -> None:
        for _ in range(draw.randint(0, most)):
            letter = draw.choice(letters)
            script[end] = {letter: draw.uniform(0.51, 1.0)}
            end += letter
        if draw.random() < 0.6:
            script[end] = row = random_row(draw, list(SUPPORT), 0.97)
            end += max(row, key=lambda piece: row[piece])
        way = draw.choice(["utility", "utility", "retrieval", "continue", "end"])
        pieces = {
            "utility": [f"[Utility:{k}]" for k in range(1, 6)],
            "retrieval": ["[Retrieval]"],
            "continue": [CONTINUE],
            "end": ["</s>"],
        }[way]
        script[end] = random_row(draw, pieces, 0.95)

    for name in NAMES:
        end = f"{name}</paragraph>"
        script[end] = row = random_row(draw, ["[Relevant]", "[Irrelevant]"], 0.99)
        write(end + max(row, key=lambda piece: row[piece]), "abcdefg", 5)
    for start in (CONTINUE, "[No Retrieval]"):
        write(start, "hijkl", 2)
    script[""] = {"[Utility:2]": 0.6, "m": 0.3}
    script["### Response:\n"] = random_row(draw, ["[Retrieval]", "[No Retrieval]"], 0.9)
    return script
