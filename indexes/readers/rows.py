"""One row of a corpus: a passage and the line it begins in, or what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from indexes.errors import CorpusFormatError, InvalidPassage
from indexes.passage import Passage

Row = tuple[int | None, Passage] | CorpusFormatError
"""Readers give bad rows as values, so that reading can go on behind them. What they raise is the
end of the reading: a file that cannot be opened or is cut off, a header that is none."""


def checked(
    file: Path, line: int | None, id_: Any, title: Any, text: Any, metadata: dict[str, Any]
) -> Passage:
    """A passage of values that a file holds; whole numbers are allowed as ids.

    Raises:
        CorpusFormatError: a value has a wrong type, the id is empty, or a text is no Unicode.
    """
    if isinstance(id_, int) and not isinstance(id_, bool):
        id_ = str(id_)
    try:
        passage = Passage(
            "" if id_ is None else id_, "" if title is None else title, text, metadata
        )
        for value in (passage.id, passage.title, passage.text, *map(str, metadata.items())):
            value.encode()
    except InvalidPassage as error:
        raise CorpusFormatError(file, line, error.message, error.hint) from error
    except UnicodeEncodeError as error:
        raise CorpusFormatError(
            file, line, f"the row holds a lone surrogate ({error.reason}).", "Write valid Unicode."
        ) from error
    return passage
