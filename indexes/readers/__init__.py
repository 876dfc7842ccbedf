"""Reads corpora as streams of passages, from the files in which corpora are published.

jsonl   one object per line: `id` or `_id`; `text`, or `contents` = "title\\ntext" as FlashRAG
        writes it; `title`; other keys become metadata. BEIR and Contriever files are such files.
tsv     DPR's table: a header with `id`, `text` and `title` in any order, tab-separated, quoted.
kilt    the KILT knowledge source: one page per line, cut into passages inside its sections.
text    documents: a plain text, Markdown, HTML or PDF file, or a folder of them, cut into passages.

Gzipped files are recognised by their content. Readers hold one row, page or document at a time;
what they remember of the ids lies in a temporary database (`indexes.readers.identifiers`).
"""

from indexes.readers.corpus import FORMATS, CorpusReader, read_passages
from indexes.readers.skipped import SkippedRows

__all__ = ["FORMATS", "CorpusReader", "SkippedRows", "read_passages"]
