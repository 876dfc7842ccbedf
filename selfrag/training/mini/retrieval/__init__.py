"""What the embedded encoder trains on, and is measured with: queries from the fact tables."""

from selfrag.training.mini.retrieval.queries import SORTS, QueryMaker

__all__ = ["SORTS", "QueryMaker"]
