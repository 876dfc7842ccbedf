"""What the published scripts do to a text before they write it down, defects included.

Source: github AkariAsai/self-rag, `utils.py` (`postprocess`, `fix_spacing`), the short form's
`postprocess_answer_option_conditioned`, and the two writers at the end of the long form. Pure
functions of strings, for the procedures "released-short" and "released-long"; our own answers are
never treated like this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from decoding.vocabulary import CONTINUE_EVIDENCE, CONTROL_STRINGS

REMOVED_STRINGS = tuple(string for string in CONTROL_STRINGS if string != CONTINUE_EVIDENCE)
"""The 14 strings that the scripts remove; `[Continue to Use Evidence]` is not among them."""

END_OF_TEXT = "</s>"

_MARK_BETWEEN_WORDS = re.compile(r"(?<=\w)([.!?])(?=\w)")


def postprocess(text: str) -> str:
    """Long form: without the 14 control strings and `</s>`, and without one leading space."""
    return _without_control_strings(text).removeprefix(" ")


def postprocess_option(text: str) -> str:
    """Short form: without the 14 control strings, `</s>`, `<|endoftext|>` and every newline.

    Spaces stay, and nothing is normalised: "A", "A." and " A" are three answers.
    """
    return _without_control_strings(text).replace("\n", "").replace("<|endoftext|>", "")


def strip_leading_mark(text: str) -> str:
    """Short form, before a prediction is stored: without one leading "#" or ":".

    The script fails with an IndexError on an empty prediction; that stays empty here.
    """
    return text[1:] if text[:1] in ("#", ":") else text


def fix_spacing(text: str) -> str:
    """Long form: a space after every ".", "!" or "?" that stands between word characters.

    It damages decimals and abbreviations: "3.5" becomes "3. 5", "U.S." becomes "U. S.".
    """
    return _MARK_BETWEEN_WORDS.sub(r"\1 ", text)


@dataclass(frozen=True, slots=True)
class CitedText:
    """What the long form's writer for ASQA and ELI5 makes of its paths.

    Attributes:
        text: with citation marks.
        path: index of the path it was written from (0, or 1 where path 0 is empty).
        positions: positions in that path whose passages make up `docs`. The mark in the text is
            the position itself, so after a skipped segment "[3]" is not the third of `docs`.
    """

    text: str
    path: int
    positions: tuple[int, ...]


def write_with_citations(paths: Sequence[Sequence[str]]) -> CitedText | None:
    """The writer for ASQA and ELI5; None where the script fails with a KeyError.

    Of every segment the last character is cut, whatever it is, and " [position]. " put in its
    place; segments that repeat an earlier one are left out but counted. A kept
    `[Continue to Use Evidence]` after a full stop becomes the mark of passage 1.

    Args:
        paths: texts along each path, best first; the root's empty text is position 0, which is
            why the first mark is [1].
    """
    chosen = 0
    if not postprocess(" ".join(paths[0])):
        if len(paths) < 2:
            return None
        chosen = 1
    written, seen, positions = "", set[str](), []
    for position, segment in enumerate(paths[chosen]):
        text = postprocess(segment)
        if not segment or text in seen:
            continue
        seen.add(text)
        positions.append(position)
        written += f"{text[:-1]} [{position}]. "
    output = fix_spacing(written.removesuffix(" "))
    output = output.replace(f".{CONTINUE_EVIDENCE}", " [1]. ").replace(". [1] ", " [1]. ")
    return CitedText(output, chosen, tuple(positions))


def _without_control_strings(text: str) -> str:
    for string in (*REMOVED_STRINGS, END_OF_TEXT):
        text = text.replace(string, "")
    return text
