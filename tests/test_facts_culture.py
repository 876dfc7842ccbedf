"""Checks of the fact tables about works, events, landmarks, sports and other things."""

import re
from pathlib import Path

import pytest

FACTS = Path(__file__).resolve().parents[1] / "selfrag" / "training" / "mini" / "facts"

COLUMNS = {
    "works.tsv": ["title", "kind", "creator", "year", "note"],
    "events.tsv": ["name", "article", "year", "end_year", "place", "description"],
    "landmarks.tsv": ["name", "article", "kind", "city", "country", "year", "builder"],
    "sports_and_misc.tsv": ["subject", "answer", "sentence"],
}
REQUIRED = {
    "works.tsv": ["title", "kind", "creator"],
    "events.tsv": ["name", "year", "description"],
    "landmarks.tsv": ["name", "kind", "city"],
    "sports_and_misc.tsv": ["subject", "answer", "sentence"],
}
MINIMUM = {"works.tsv": 400, "events.tsv": 100, "landmarks.tsv": 110, "sports_and_misc.tsv": 60}

LATEST_YEAR = 2025

# Sites on or across a border, or whose status is disputed.
NO_SINGLE_COUNTRY = {"Mount Everest", "Rock of Gibraltar", "Western Wall", "Dome of the Rock"}

# Works that were published or first performed in a year after the death of their creator.
POSTHUMOUS = {
    "The Trial",
    "The Castle",
    "The Silmarillion",
    "The Diary of a Young Girl",
    "The Leopard",
    "The Prince",
    "On War",
    "Long Day's Journey into Night",
    "The Tales of Hoffmann",
    "Prince Igor",
    "Turandot",
    "The Master and Margarita",
}


def lines(name):
    text = (FACTS / name).read_text(encoding="utf-8")
    assert text.endswith("\n"), f"{name} does not end with a newline"
    assert "\r" not in text
    return text[:-1].split("\n")


def rows(name):
    header, *rest = [line.split("\t") for line in lines(name)]
    return [dict(zip(header, cells, strict=False)) for cells in rest]


def integer(text):
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def without_article(name):
    return re.sub(r"^the ", "", name.casefold())


@pytest.mark.parametrize("name", COLUMNS)
def test_every_line_has_the_columns_of_the_header(name):
    table = [line.split("\t") for line in lines(name)]
    assert table[0] == COLUMNS[name]
    assert [cells for cells in table if len(cells) != len(COLUMNS[name])] == []


@pytest.mark.parametrize("name", COLUMNS)
def test_cells_are_clean(name):
    for row in rows(name):
        for cell in row.values():
            assert cell == cell.strip(), row
            assert "  " not in cell and '"' not in cell and "|" not in cell, row
            assert ";;" not in cell and not cell.startswith(";") and not cell.endswith(";"), row


@pytest.mark.parametrize("name", COLUMNS)
def test_required_cells_are_filled(name):
    assert [row for row in rows(name) if not all(row[column] for column in REQUIRED[name])] == []


@pytest.mark.parametrize("name", COLUMNS)
def test_names_are_unique(name):
    key = COLUMNS[name][0]
    seen, again = set(), []
    for row in rows(name):
        title = without_article(row[key])
        if title in seen:
            again.append(row[key])
        seen.add(title)
    assert again == []


@pytest.mark.parametrize("name", COLUMNS)
def test_there_are_enough_rows(name):
    assert len(rows(name)) >= MINIMUM[name]


@pytest.mark.parametrize("name", ["works.tsv", "events.tsv", "landmarks.tsv"])
def test_years_are_plausible(name):
    for row in rows(name):
        for column in ("year", "end_year"):
            if row.get(column):
                year = integer(row[column])
                assert year is not None and 1 <= year <= LATEST_YEAR, row


@pytest.mark.parametrize(
    "kind, first",
    [("film", 1895), ("album", 1900), ("novel", 1600), ("opera", 1597), ("musical", 1860)],
)
def test_works_are_not_older_than_their_kind(kind, first):
    assert [
        row
        for row in rows("works.tsv")
        if row["kind"] == kind and row["year"] and int(row["year"]) < first
    ] == []


def test_events_do_not_end_before_they_start():
    assert [
        row
        for row in rows("events.tsv")
        if row["end_year"] and int(row["end_year"]) < int(row["year"])
    ] == []


@pytest.mark.parametrize("name", ["events.tsv", "landmarks.tsv"])
def test_articles_are_the_or_empty_and_not_repeated_in_the_name(name):
    assert [
        row
        for row in rows(name)
        if row["article"] not in ("", "the") or row["name"].casefold().startswith("the ")
    ] == []


def test_landmarks_name_their_country():
    assert {row["name"] for row in rows("landmarks.tsv") if not row["country"]} == NO_SINGLE_COUNTRY


@pytest.mark.parametrize(
    "name, column",
    [("works.tsv", "note"), ("events.tsv", "description"), ("sports_and_misc.tsv", "sentence")],
)
def test_sentences_start_with_a_capital_and_end_with_a_full_stop(name, column):
    for row in rows(name):
        if row[column]:
            assert row[column][0].isupper() or row[column][0].isdigit(), row
            assert row[column].endswith("."), row


def test_sentences_contain_their_answers_as_whole_words():
    for row in rows("sports_and_misc.tsv"):
        answer = re.escape(row["answer"])
        assert re.search(rf"(?<!\w){answer}(?!\w)", row["sentence"]), row


def test_subjects_complete_a_question():
    assert [
        row for row in rows("sports_and_misc.tsv") if not row["subject"].startswith("the ")
    ] == []
    assert [row for row in rows("sports_and_misc.tsv") if row["subject"].endswith((".", "?"))] == []


def test_works_fall_within_the_lives_of_their_creators():
    if not (FACTS / "people.tsv").exists():
        pytest.skip("people.tsv is not there, so the lives of creators cannot be compared")
    lives = {
        person["name"]: (integer(person["birth_year"]), integer(person["death_year"]))
        for person in rows("people.tsv")
    }
    wrong = []
    for row in rows("works.tsv"):
        if not row["year"]:
            continue
        for creator in row["creator"].split(";"):
            born, died = lives.get(creator, (None, None))
            if born is not None and int(row["year"]) <= born:
                wrong.append((row["title"], row["year"], creator, "before birth"))
            if died is not None and int(row["year"]) > died and row["title"] not in POSTHUMOUS:
                wrong.append((row["title"], row["year"], creator, "after death"))
    assert wrong == []
