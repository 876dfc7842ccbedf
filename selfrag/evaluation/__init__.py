"""Measuring answers: the evaluation set, matching, and the figures of the embedded default."""
