"""Parse recorded outputs of a Self-RAG model, control tokens shown, and report on them.

    python scripts/check_recorded_outputs.py outputs.jsonl.gz --json
    python scripts/check_recorded_outputs.py outputs.jsonl --dump > parts.jsonl

Reads one JSON object a line (gzip is recognised by content); the text is in the field named by
`--field`, else in `prediction`, else in `output`. Prints the numbers of rows, of rows parsed and
given back exactly, of each token and of segments; with `--dump` one JSON line per row with its
parts and segments instead. Exit codes: 0, all rows parsed and given back; 1, some were not;
2, the file or a row cannot be read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from decoding.grammar import check_outputs, parse_output

FIELDS = ("prediction", "output")


class UnreadableFileError(Exception):
    """A file or a row that cannot be read."""


def read_texts(path: Path, field: str | None) -> Iterator[str]:
    """The output text of each row of a JSON-lines file, plain or gzipped."""
    names = (field,) if field else FIELDS
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
        with (
            gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8")
        ) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _text_of(line, names, f"{path}, line {number}")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path}: not UTF-8 text ({error})") from error
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFileError(f"{path}: cannot be read ({error})") from error


def _text_of(line: str, names: tuple[str, ...], place: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UnreadableFileError(f"{place}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise UnreadableFileError(f"{place}: expected a JSON object, got {type(row).__name__}")
    name = next((name for name in names if name in row), None)
    if name is None:
        raise UnreadableFileError(
            f"{place}: no field {' or '.join(names)}; has {', '.join(row) or 'none'}"
        )
    text = row[name]
    if not isinstance(text, str):
        raise UnreadableFileError(
            f"{place}: the field {name} is {type(text).__name__}, expected text"
        )
    return text


def main(arguments: list[str] | None = None) -> int:
    """Run the check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="outputs as .jsonl or .jsonl.gz")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--dump", action="store_true", help="print one JSON line per row instead")
    parser.add_argument("--field", help="field of the text (default: prediction, else output)")
    options = parser.parse_args(arguments)
    try:
        texts = list(read_texts(options.file, options.field))
    except UnreadableFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report = check_outputs(texts)
    if options.dump:
        for index, text in enumerate(texts):
            print(json.dumps({"row": index} | parse_output(text).to_dict()))
    elif options.json:
        print(json.dumps(report))
    else:
        for name in ("rows", "parsed", "roundtrip", "segments"):
            print(f"{name:>10}  {report[name]}")
        for string, count in report["tokens"].items():
            print(f"{count:>10}  {string}")
    return 0 if report["rows"] == report["parsed"] == report["roundtrip"] else 1


if __name__ == "__main__":
    sys.exit(main())
