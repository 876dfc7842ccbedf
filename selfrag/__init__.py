"""Ask a question, get a critiqued and cited answer.

    from selfrag import SelfRAG

    rag = SelfRAG.from_pretrained()
    answer = rag.ask("What is the capital of Burkina Faso?")
    print(answer.text, answer.citations)

Names are imported when they are first used (PEP 562): importing this package loads neither torch
nor FAISS, so that `selfrag.training` and `decoding` work where only torch and transformers are
installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoding.config import DecodingConfig
    from indexes.passage import Passage
    from selfrag.answer import Answer, Budget, Citation, Decision, Question, Segment, Usage
    from selfrag.errors import SelfRAGError
    from selfrag.events import Event
    from selfrag.rag import SelfRAG

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Budget",
    "Citation",
    "Decision",
    "DecodingConfig",
    "Event",
    "Passage",
    "Question",
    "Segment",
    "SelfRAG",
    "SelfRAGError",
    "Usage",
    "__version__",
]

_HOMES = {
    "Answer": "selfrag.answer",
    "Budget": "selfrag.answer",
    "Citation": "selfrag.answer",
    "Decision": "selfrag.answer",
    "DecodingConfig": "decoding.config",
    "Event": "selfrag.events",
    "Passage": "indexes.passage",
    "Question": "selfrag.answer",
    "Segment": "selfrag.answer",
    "SelfRAG": "selfrag.rag",
    "SelfRAGError": "selfrag.errors",
    "Usage": "selfrag.answer",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
