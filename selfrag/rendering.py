"""Answers for readers: Markdown, a notebook view, and the terminal.

A citation mark `[n]` follows the text of each segment that has one, with the number the answer
gives it. Marks are put into `Answer.text`; nothing else in it is touched, so that the text without
its marks is the text. This module computes nothing: what was not measured is shown as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from selfrag.answer import Answer, Decision, Segment

_UNMEASURED = "-"
_SUPPORT = {"fully": "fully", "partially": "partially", "no": "not"}
_ACTIONS = {
    "retrieve": "retrieve",
    "continue": "keep the evidence",
    "no_retrieval": "write without retrieval",
    "text": "follow the text",
}


def text_with_marks(answer: Answer) -> str:
    """The answer's text with ` [n]` after the text of each cited segment."""
    return "".join(piece for piece, _ in _pieces(answer))


def answer_to_markdown(answer: Answer) -> str:
    """The text with citation marks, then the cited passages as quotes, then the warnings.

    The text stands as the model wrote it, Markdown of its own included; passages and warnings,
    which are quoted, are escaped.
    """
    body = ""
    pieces = list(_pieces(answer))
    for index, (piece, is_mark) in enumerate(pieces):
        following = pieces[index + 1][0] if index + 1 < len(pieces) else ""
        # "[1](" and "[1][" would read as a link.
        body += piece.replace("[", r"\[") if is_mark and following[:1] in ("(", "[") else piece
    blocks = [body]
    for citation in answer.citations:
        title = f"**{_markdown(' '.join(citation.title.split()))}** " if citation.title else ""
        quote = "\n".join(f"> {_markdown(line)}" for line in citation.text.splitlines() or [""])
        blocks.append(
            f"\\[{citation.number}\\] {title}({_markdown(citation.passage_id)})\n\n{quote}"
        )
    blocks += [f"*Warning: {_markdown(' '.join(item.split()))}*" for item in answer.warnings]
    return "\n\n".join(blocks) + "\n"


def answer_to_html(answer: Answer) -> str:
    """A self-contained, escaped HTML fragment for notebooks."""
    body = "".join(
        f"<sup>{escape(piece.strip())}</sup>" if is_mark else escape(piece)
        for piece, is_mark in _pieces(answer)
    )
    parts = [
        '<div class="selfrag-answer">',
        f"<p><em>{escape(answer.question)}</em></p>",
        f'<p style="white-space:pre-wrap">{body}</p>',
    ]
    for citation in answer.citations:
        head = escape(f"[{citation.number}] {citation.title or citation.passage_id}")
        parts.append(f"<details><summary>{head}</summary><p>{escape(citation.text)}</p></details>")
    if answer.segments:
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in _rows(answer)
        )
        heads = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
        parts.append(f"<table><tr>{heads}</tr>{rows}</table>")
    parts += [f"<p>{escape(decision_text(decision))}</p>" for decision in answer.decisions]
    parts += [f"<p><strong>Warning:</strong> {escape(item)}</p>" for item in answer.warnings]
    return "".join([*parts, "</div>"])


def answer_to_terminal(answer: Answer, *, text: bool = True) -> RenderableType:
    """What `selfrag ask` prints: text, cited passages, decisions, critiques, cost, warnings.

    Args:
        answer: the answer.
        text: False leaves the text out, where a stream has printed it already.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    if text:
        parts.append(Text(printable(text_with_marks(answer) or "(no text)"), style="bold"))
    if answer.draft is not None and answer.answerable is False:
        parts += [Text(""), Text(f"The model's draft: {printable(answer.draft)}", style="dim")]
    if answer.choice is not None:
        shares = (answer.option_scores or {}).items()
        detail = ", ".join(f"{key} {value:.3f}" for key, value in shares)
        parts.append(Text(printable(f"Choice: {answer.choice} ({detail})")))
    for citation in answer.citations:
        title = printable(f"[{citation.number}] {citation.title or citation.passage_id}")
        parts += [
            Text(""),
            Text(title, style="cyan"),
            Padding(Text(printable(citation.text)), (0, 0, 0, 4), expand=False),
        ]
    if answer.decisions:
        parts.append(Text(""))
    parts += [Text(printable(decision_text(decision))) for decision in answer.decisions]
    if answer.segments:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in _COLUMNS:
            table.add_column(name, no_wrap=name != "Segment", max_width=44)
        for row in _rows(answer):
            table.add_row(*(Text(printable(cell)) for cell in row))
        parts += [Text(""), table]
    usage = answer.usage
    cost = (
        f"{usage.passages} passages, {usage.expansions} branches"
        f"{f' ({usage.pruned} given up)' if usage.pruned else ''}, "
        f"{usage.generated_tokens} tokens generated, {usage.seconds:.2f} s"
    )
    parts += [Text(""), Text(cost, style="dim")]
    if answer.status != "complete":
        parts.append(Text(f"Status: {answer.status}", style="yellow"))
    parts += [Text(printable(f"Warning: {item}"), style="yellow") for item in answer.warnings]
    return Group(*parts)


def decision_text(decision: Decision) -> str:
    """One decision in a line, with its probability where it was measured."""
    where = "at the question" if decision.depth == 0 else f"after segment {decision.depth}"
    line = f"Decision {where}: {_ACTIONS[decision.action]}"
    measured = []
    if decision.p_retrieve is not None:
        share = f"p(Retrieve) = {decision.p_retrieve:.3f}"
        if decision.threshold is not None:
            share += f", threshold {decision.threshold:g}"
        measured.append(share)
    if decision.p_continue is not None and decision.action == "continue":
        measured.append(f"p(Continue) = {decision.p_continue:.3f}")
    measured.append(f"by {decision.reason}")
    return f"{line} ({'; '.join(measured)})"


def printable(text: str) -> str:
    """Text without what must not reach a terminal: control characters (also those that begin
    ANSI escapes), overrides of the writing direction, and halves of surrogate pairs.
    """
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_COLUMNS = ("", "Segment", "Passage", "IsRel", "IsSup", "IsUse")


def _rows(answer: Answer) -> Iterator[tuple[str, ...]]:
    for number, segment in enumerate(answer.segments, start=1):
        words = " ".join(segment.text.split())
        yield (
            str(number),
            words if len(words) <= 60 else words[:59] + "\N{HORIZONTAL ELLIPSIS}",
            _source(segment),
            _number(segment.p_relevant) + (" (forced)" if segment.relevance_forced else ""),
            _support(segment),
            _UNMEASURED if segment.utility is None else f"{segment.utility:+.3f}",
        )


def _source(segment: Segment) -> str:
    if segment.citation is not None:
        return f"[{segment.citation}]"
    return segment.passage_id or _UNMEASURED


def _support(segment: Segment) -> str:
    if not segment.p_supported:
        return _UNMEASURED
    name, share = max(segment.p_supported.items(), key=lambda item: item[1])
    return f"{_SUPPORT.get(name, name)} {share:.3f}"


def _number(value: float | None) -> str:
    return _UNMEASURED if value is None else f"{value:.3f}"


def _pieces(answer: Answer) -> Iterator[tuple[str, bool]]:
    """The text cut at its marks: (piece, whether it is a mark).

    Segments are looked up in order; the mark of one that does not stand in the text (the
    released procedures post-process theirs) goes to the end.
    """
    position, missing = 0, []
    for segment in answer.segments:
        words = segment.text.strip()
        found = answer.text.find(words, position) if words else -1
        if found >= 0:
            end = found + len(words)
            yield answer.text[position:end], False
            position = end
        if segment.citation is None:
            continue
        if found >= 0:
            yield f" [{segment.citation}]", True
        elif words and answer.answerable is not False and segment.citation not in missing:
            missing.append(segment.citation)
    rest = answer.text[position:]
    words = rest.rstrip()
    if words or not missing:
        yield (words if missing else rest), False
    for number in missing:
        yield f" [{number}]", True
    if missing:
        yield rest[len(words) :], False


_MARKDOWN_SPECIAL = frozenset("\\`*_[]<>#|~$&")


def _markdown(text: str) -> str:
    """Text with Markdown's and HTML's special characters escaped."""
    visible = printable(text)
    return "".join("\\" + char if char in _MARKDOWN_SPECIAL else char for char in visible)
