"""`selfrag ask`: one question, or as many as standard input holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from decoding.config import Mode, Procedure
from selfrag.cli.failures import InputError
from selfrag.cli.loading import Device, Dtype, IndexPath, Model, open_selfrag, resolve_config
from selfrag.cli.output import Output

_EXIT_CODES_BY_STATUS = {"refused": 2, "failed": 1}


def checked_engine(engine: str) -> str:
    """An engine's name as it is; typer.BadParameter where it names none."""
    from selfrag.backends.engines import check_engine

    try:
        check_engine(engine, None, replayed=False)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return engine


def ask(
    question: Annotated[
        str | None,
        typer.Argument(help="The question. Left out: a prompt, or standard input, one a line."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the full answer, one JSON object a line.")
    ] = False,
    trace: Annotated[
        Path | None,
        typer.Option("--trace", help="Write the search tree: .json, .graphml or .mmd (Mermaid)."),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Print segments as they are settled; with --json, events."),
    ] = False,
    options: Annotated[
        list[str] | None,
        typer.Option("--options", help='An option of a closed question: "A=Paris". Repeat it.'),
    ] = None,
    model: Model = None,
    index: IndexPath = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="batched, reference, vllm, a server's address, or a .gguf file.",
            callback=checked_engine,
        ),
    ] = "batched",
    precision: Annotated[
        Literal["int8", "8bit", "4bit", "fp8"] | None,
        typer.Option("--precision", help="Weights in fewer bits; int8 is for the CPU."),
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file of decoding options.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option("--mode", help="Whether the model decides to retrieve.")
    ] = None,
    procedure: Annotated[
        Procedure | None, typer.Option("--procedure", help="The paper's search, or a released one.")
    ] = None,
    passages: Annotated[
        int | None, typer.Option("--passages", min=1, help="Passages for each retrieval.")
    ] = None,
    beam_width: Annotated[
        int | None, typer.Option("--beam-width", min=1, help="Hypotheses that survive a level.")
    ] = None,
    max_segments: Annotated[
        int | None, typer.Option("--max-segments", min=1, help="Segments of the longest answer.")
    ] = None,
    order: Annotated[
        Literal["auto", "together", "leaders"] | None,
        typer.Option("--order", help="Branches at once, or leaders first; same answers."),
    ] = None,
    max_generated_tokens: Annotated[
        int | None, typer.Option("--max-generated-tokens", min=0, help="Hard limit per question.")
    ] = None,
    max_retrievals: Annotated[
        int | None, typer.Option("--max-retrievals", min=0, help="Hard limit per question.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", min=0.0, help="Hard limit per question.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Keep what was decoded in this file; do not pay twice."),
    ] = None,
    store_limit: Annotated[
        str | None,
        typer.Option("--store-limit", help="How large the store may grow, as 500MB (1GiB)."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", help="Record all model calls in this file.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option("--replay", help="Answer from a recording, without the model.")
    ] = None,
) -> None:
    """Answer a question with cited passages and critiques.

    Without a question, questions are read from a prompt or from standard input, one a line, and
    answered in order. Each line gets an answer: one that cannot be asked (an empty line, a line
    that is not UTF-8) gets one with the status "refused", and the run goes on with exit code 0. A
    single question that is refused ends with 2, and one that fails with the code of its error.
    """
    from selfrag.answer import Budget
    from selfrag.cli.questions import Asker, answer_lines, answer_prompt
    from selfrag.trace import check_trace_path, write_trace

    if trace is not None:
        if question is None:
            raise InputError("--trace needs a QUESTION.", "A trace holds the tree of one question.")
        if stream:
            raise InputError("--trace and --stream exclude each other.", "Leave out one of them.")
        check_trace_path(trace)
    if question is not None:
        _check_text(question)
    cache_bytes = _check_files(store, store_limit, record, replay)
    limits = (max_generated_tokens, max_retrievals, max_seconds)
    keywords: dict[str, Any] = {
        "options": _parse_options(options or []),
        "budget": None if limits == (None, None, None) else Budget(*limits),
    }
    settings = resolve_config(
        config,
        {
            "mode": mode,
            "procedure": procedure,
            "passages": passages,
            "beam_width": beam_width,
            "max_segments": max_segments,
            "order": order,
        },
    )
    output = Output(as_json=as_json)
    with (
        output.guarded(),
        open_selfrag(
            model=model,
            index=index,
            device=device,
            dtype=dtype,
            engine=engine,
            precision=precision,
            config=settings,
            cache=store,
            cache_bytes=cache_bytes,
            record=record,
            replay=replay,
        ) as rag,
    ):
        asker = Asker(rag, output, stream=stream, keywords=keywords)
        if question is not None:
            answer = asker.one(question)
            code = _EXIT_CODES_BY_STATUS.get(answer.status, 0)
            if trace is not None and not (code and not answer.tree):
                write_trace(answer, trace)
            if code:
                raise typer.Exit(code)
        elif sys.stdin.isatty():
            answer_prompt(asker)
        else:
            answer_lines(asker, sys.stdin)


def _check_files(
    store: Path | None, limit: str | None, record: Path | None, replay: Path | None
) -> int | None:
    """The store's limit in bytes, where one is given; refuses files that exclude each other."""
    from indexes.choice import parse_memory
    from indexes.errors import InvalidSetting

    files = {"--store": store, "--record": record, "--replay": replay}
    given = [name for name, path in files.items() if path is not None]
    if len(given) > 1:
        raise InputError(
            f"{' and '.join(given)} exclude each other.",
            "A store is shared and bounded, a recording is complete; give one of them.",
        )
    if limit is None:
        return None
    if store is None:
        raise InputError("--store-limit needs --store FILE.", "Only a store is bounded.")
    try:
        return parse_memory(limit)
    except InvalidSetting as error:
        raise InputError(f"--store-limit got {limit!r}.", error.hint) from None


def _parse_options(texts: list[str]) -> dict[str, str] | None:
    """`["A=Paris", "B=Rome"]` as a mapping; None when there are none."""
    options: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InputError(f"--options got {text!r}.", 'Write KEY=TEXT, as in "A=Paris".')
        if key.strip() in options:
            raise InputError(f"--options has {key.strip()!r} twice.", "Give each key once.")
        _check_text(text)
        options[key.strip()] = value.strip()
    if len(options) == 1:
        raise InputError("--options was given once.", "A closed question has at least two options.")
    return options or None


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("An argument is not valid UTF-8.", "Check the locale.") from error
