"""The grammar of Self-RAG's training outputs, and where a text leaves it.

Source: the published data-creation code (`postprocess_data.py`). An output is a sequence of
segments and ends with one `[Utility:k]`; a segment is one of

    [Retrieval]<paragraph>title and text</paragraph>[Relevant] sentence IsSup
    [Retrieval]<paragraph>title and text</paragraph>[Irrelevant] sentence
    [Continue to Use Evidence] sentence
    [No Retrieval] sentence
    sentence

so IsSup follows `[Relevant]` sentences only, and IsUse stands only at the very end. Here a
"sentence" is any text that is not blank. The end of text may follow or not (training adds it).
This is a strict check for training rows; `grammar` reads whatever a model wrote.
"""

from __future__ import annotations

from decoding.output_parts import END_OF_TEXT, OutputPart, split_parts
from decoding.vocabulary import (
    GROUPS,
    IRRELEVANT,
    PARAGRAPH_END,
    PARAGRAPH_START,
    RELEVANT,
    RETRIEVAL,
)

_SYMBOLS: dict[str, str] = {
    **dict.fromkeys(GROUPS["Retrieve"], "other decision"),
    **dict.fromkeys(GROUPS["IsSup"], "IsSup"),
    **dict.fromkeys(GROUPS["IsUse"], "IsUse"),
    **{s: s for s in (RETRIEVAL, PARAGRAPH_START, PARAGRAPH_END, RELEVANT, IRRELEVANT)},
    END_OF_TEXT: END_OF_TEXT,
}

_AFTER: dict[str, str] = {
    "text": "segment",
    RETRIEVAL: "retrieval",
    "other decision": "sentence",
    PARAGRAPH_START: "passage",
    PARAGRAPH_END: "relevance",
    RELEVANT: "relevant sentence",
    IRRELEVANT: "sentence",
    "IsSup": "segment",
    "IsUse": "end",
    END_OF_TEXT: "end",
}
"""State after a symbol, unless the state before says otherwise."""

_ALLOWED: dict[str, dict[str, str]] = {
    "start": {"text": "segment", RETRIEVAL: "retrieval", "other decision": "sentence"},
    "segment": {
        "text": "segment",
        RETRIEVAL: "retrieval",
        "other decision": "sentence",
        "IsUse": "end",
    },
    "retrieval": {PARAGRAPH_START: "passage"},
    "passage": {"text": "passage end"},
    "passage end": {PARAGRAPH_END: "relevance"},
    "relevance": {RELEVANT: "relevant sentence", IRRELEVANT: "sentence"},
    "relevant sentence": {"text": "support"},
    "support": {"IsSup": "segment"},
    "sentence": {"text": "segment"},
    "end": {END_OF_TEXT: "end"},
}
"""State -> symbol -> next state."""

_EXPECTED: dict[str, str] = {
    "start": "text or a token of the Retrieve group",
    "segment": "text, a token of the Retrieve group or [Utility:k]",
    "retrieval": PARAGRAPH_START,
    "passage": "a passage",
    "passage end": PARAGRAPH_END,
    "relevance": "an IsRel token",
    "relevant sentence": "a sentence",
    "support": "an IsSup token",
    "sentence": "a sentence",
    "end": "the end of the output",
}


def strict_violations(text: str, *, after_passage: bool = False) -> list[str]:
    """Where an output leaves the training-time grammar, in words; empty when it does not.

    Args:
        text: a whole output, control tokens shown.
        after_passage: the prompt ended with a passage, so the output begins with its IsRel.

    Each message has the offset, what the grammar allows there, and what the text has. After a
    violation the check goes on from the token found.
    """
    state = "relevance" if after_passage else "start"
    violations: list[str] = []
    for part in split_parts(text):
        if part.blank:
            continue
        symbol = "text" if part.kind == "text" else _SYMBOLS[part.string]
        if symbol not in _ALLOWED[state]:
            violations.append(
                f"offset {part.offset}: expected {_EXPECTED[state]}, found {_shown(part)}"
            )
        state = _ALLOWED[state].get(symbol, _AFTER[symbol])
    if state != "end":
        violations.append(f"offset {len(text)}: expected {_EXPECTED[state]}, found nothing more")
    return violations


def _shown(part: OutputPart) -> str:
    if part.kind != "text":
        return part.string
    return repr(part.string if len(part.string) <= 30 else part.string[:27] + "...")
