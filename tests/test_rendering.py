"""Citation marks, Markdown, HTML and the terminal."""

from __future__ import annotations

import dataclasses
import io
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sample_answers import make_answer

from selfrag.answer import NOT_FOUND, Answer, Citation, Segment
from selfrag.rendering import (
    answer_to_html,
    answer_to_markdown,
    answer_to_terminal,
    printable,
    text_with_marks,
)

MARKDOWN = """\
The capital of Burkina Faso is Ouagadougou. [1]

\\[1\\] **Burkina Faso** (bf)

> Ouagadougou is the capital of Burkina Faso.
"""

TERMINAL = """\
The capital of Burkina Faso is Ouagadougou. [1]

[1] Burkina Faso
    Ouagadougou is the capital of Burkina Faso.

Decision at the question: retrieve (p(Retrieve) = 0.987, threshold 0.2; by threshold)

   Segment                                      Passage  IsRel  IsSup        IsUse
1  The capital of Burkina Faso is Ouagadougou.  [1]      0.991  fully 0.980  +0.875

5 passages, 5 branches, 12 tokens generated, 0.25 s
"""


def segments(*pairs: tuple[str, int | None]) -> tuple[Segment, ...]:
    return tuple(
        Segment(text, f"p{number}", number, "retrieve", None, None, None, None, None, 0.0)
        for text, number in pairs
    )


def several(text: str, *pairs: tuple[str, int | None]) -> Answer:
    numbers = sorted({number for _, number in pairs if number is not None})
    citations = tuple(Citation(number, f"p{number}", "T", "x", ()) for number in numbers)
    return make_answer(text=text, segments=segments(*pairs), citations=citations, answerable=None)


def as_shown(answer: Answer, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False, markup=False).print(
        answer_to_terminal(answer), soft_wrap=True
    )
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def test_markdown(answer: Answer) -> None:
    assert answer_to_markdown(answer) == answer.to_markdown() == MARKDOWN


def test_terminal(answer: Answer) -> None:
    assert as_shown(answer) == TERMINAL


def test_each_segment_has_its_own_mark_and_numbers_stay() -> None:
    answer = several(
        "Pi is 3.14. Dr. A. Smith, e.g., knew. It ends.",
        ("Pi is 3.14.", 2),
        (" Dr. A. Smith, e.g., knew.", 7),
        (" It ends.", 2),
    )
    expected = "Pi is 3.14. [2] Dr. A. Smith, e.g., knew. [7] It ends. [2]"
    assert text_with_marks(answer) == expected


def test_uncited_segments_have_no_mark() -> None:
    answer = several("Hello! The sky is blue.", ("Hello!", None), ("The sky is blue.", 1))
    assert text_with_marks(answer) == "Hello! The sky is blue. [1]"


def test_marks_of_text_that_was_post_processed_go_to_the_end() -> None:
    answer = several("PARIS\n", ("Paris", 3), ("France", 3))
    assert text_with_marks(answer) == "PARIS [3]\n"


def test_nothing_is_cited_where_nothing_was_found(answer: Answer) -> None:
    lost = dataclasses.replace(
        answer, text=NOT_FOUND, answerable=False, status="not_found", draft="It is Ouaga."
    )
    assert text_with_marks(lost) == NOT_FOUND
    assert "draft: It is Ouaga." in as_shown(lost)
    assert "Status: not_found" in as_shown(lost)


def test_a_mark_never_becomes_a_link() -> None:
    answer = several("One(two)[three]", ("One", 1), ("(two)", 2), ("[three]", None))
    assert answer_to_markdown(answer).startswith("One \\[1](two) \\[2][three]\n")


def test_quotes_and_warnings_are_escaped() -> None:
    citation = Citation(1, "<id>", "*T*", "<script>a_b</script>\n\n# [x](y)", (0,))
    answer = make_answer(citations=(citation,), warnings=("a *b*",))
    markdown = answer_to_markdown(answer)
    assert "> \\<script\\>a\\_b\\</script\\>\n> \n> \\# \\[x\\](y)" in markdown
    assert "*Warning: a \\*b\\**" in markdown
    html = answer_to_html(answer)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_html_has_the_text_marks_and_critiques(answer: Answer) -> None:
    html = answer._repr_html_()
    assert "The capital of Burkina Faso is Ouagadougou.<sup>[1]</sup>" in html
    assert "<td>fully 0.980</td>" in html
    assert "<summary>[1] Burkina Faso</summary>" in html


def test_unmeasured_values_are_shown_as_such() -> None:
    assert re.search(
        r"1  x +- +- +- +-\n", as_shown(several("x", ("x", None))).replace("pNone", "-")
    )


def test_terminal_text_holds_no_control_characters() -> None:
    answer = make_answer(text="a\x1b[31mb\x07\r\u202ec", segments=(), citations=())
    assert "a\ufffd[31mb\ufffd\ufffd\ufffdc" in as_shown(answer)
    assert printable("tab\tline\nä€🙂") == "tab\tline\nä€🙂"


def test_terminal_can_leave_the_text_out(answer: Answer) -> None:
    stream = io.StringIO()
    Console(file=stream).print(answer_to_terminal(answer, text=False))
    assert not stream.getvalue().startswith("The capital")


@given(st.lists(st.tuples(st.text("ab .,3[]()\n", max_size=8), st.sampled_from([None, 1, 2]))))
def test_the_text_without_marks_is_the_text(pairs: list[tuple[str, int | None]]) -> None:
    answer = several("".join(text for text, _ in pairs), *pairs)
    marked = text_with_marks(answer)
    assert re.sub(r" \[(1|2)\]", "", marked) == answer.text
    wanted = sum(1 for text, number in pairs if number is not None and text.strip())
    assert len(re.findall(r" \[(1|2)\]", marked)) == wanted
