"""Train the embedded encoder: python scripts/train_encoder.py [OUT] [--rounds N] [--epochs N]."""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

from selfrag.training.encoder import EncoderPlan, recall_at, train_encoder
from selfrag.training.mini.retrieval import training_triples
from selfrag.training.mini.schemas import read_entities, training_pairs

ASSETS = Path(__file__).parents[1] / "selfrag" / "assets"


def main() -> None:
    """Train, save, and print recall on freshly drawn questions."""
    plan = EncoderPlan()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=ASSETS / "encoder")
    parser.add_argument("--rounds", type=int, default=12, help="questions per passage and relation")
    parser.add_argument("--epochs", type=int, default=plan.epochs)
    parser.add_argument("--dimension", type=int, default=plan.dimension)
    parser.add_argument("--pieces", type=int, default=plan.pieces)
    parser.add_argument("--rate", type=float, default=plan.rate)
    parser.add_argument("--seed", type=int, default=plan.seed)
    given = parser.parse_args()
    entities = list(read_entities())
    triples = training_triples(entities, given.rounds, given.seed)
    print(f"{len(entities)} things, {len(triples)} triples")
    plan = EncoderPlan(
        pieces=given.pieces,
        dimension=given.dimension,
        epochs=given.epochs,
        rate=given.rate,
        seed=given.seed,
    )
    model = train_encoder(triples, given.out, plan)
    fresh = list(training_pairs(entities, Random(given.seed + 1000)))
    asked = Random(given.seed).sample(fresh, min(1000, len(fresh)))
    passages = list(dict.fromkeys(f"{title} {text}" for _, title, text in fresh))
    place = {passage: row for row, passage in enumerate(passages)}
    gold = [place[f"{title} {text}"] for _, title, text in asked]
    for k in (1, 5):
        recall = recall_at(model, [question for question, _, _ in asked], passages, gold, k)
        print(f"recall@{k} on {len(asked)} fresh questions, {len(passages)} passages: {recall:.3f}")


if __name__ == "__main__":
    main()
