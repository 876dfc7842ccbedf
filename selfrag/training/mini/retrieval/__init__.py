"""What the embedded encoder trains on, and is measured with: queries from the fact tables."""

from selfrag.training.encoder.plan import EncoderPlan
from selfrag.training.mini.retrieval.queries import SORTS, QueryMaker

PLAN = EncoderPlan(pieces=8000, dimension=256, rounds=3, negatives=3)
"""How the embedded encoder is trained."""
WORDINGS = 6
"""How often each fact is asked for, in other words each time."""

__all__ = ["PLAN", "SORTS", "WORDINGS", "QueryMaker"]
