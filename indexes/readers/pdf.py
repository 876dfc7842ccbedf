"""PDF as one section whose parts are pages: the text that stands in the file, in its order.

Pages that are images have no text here; hyphens at line ends stay.
"""

from __future__ import annotations

import io
from pathlib import Path

from indexes.errors import CorpusFormatError, MissingLibrary
from indexes.readers.lines import bytes_of
from indexes.readers.outline import Section
from indexes.readers.parts import Parts


def pdf_sections(file: Path) -> list[Section]:
    """The text of a PDF file under its title, or under its name where it has none.

    Raises:
        CorpusFormatError: the file is damaged, or encrypted with a password.
        MissingLibrary: pypdf is not installed.
    """
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise MissingLibrary("pypdf", "PDF files", "documents") from error

    parts = Parts(separator="\n")
    try:
        reader = PdfReader(io.BytesIO(bytes_of(file)))
        title = reader.metadata.title if reader.metadata is not None else None
        for number, page in enumerate(reader.pages, start=1):
            parts.add(number, _unicode(page.extract_text()))
    except CorpusFormatError:
        raise
    except Exception as error:  # pypdf meets damage with errors of many kinds
        raise CorpusFormatError(
            file,
            None,
            f"the PDF cannot be read ({type(error).__name__}: {error}).",
            "Open it in a viewer and save it anew, without a password.",
        ) from error
    name = file.name.removesuffix(".gz").rpartition(".")[0]
    title = " ".join(_unicode(str(title or "")).split()) or name
    return [Section(title, parts, paged=True)] if parts else []


def _unicode(text: str) -> str:
    # Fonts map to halves of surrogate pairs now and then, and to the null character.
    text = text.replace("\0", "").strip()
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
