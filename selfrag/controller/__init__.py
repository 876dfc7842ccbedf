"""One question, one generator: asks its driver for expansions and passages, and judges them.

A controller does no I/O and owns no model: it yields the requests of `selfrag.requests`, is sent
results, and returns an `Answer`. Which procedure runs is the configuration's choice.
"""

from selfrag.controller.procedures import answer_question

__all__ = ["answer_question"]
