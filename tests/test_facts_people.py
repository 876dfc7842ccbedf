"""Shape of the table of well-known people."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "selfrag" / "training" / "mini" / "facts" / "people.tsv"
COLUMNS = [
    "name",
    "field",
    "nationality",
    "country",
    "birth_year",
    "birthplace",
    "death_year",
    "known_for",
    "pronoun",
]
OPTIONAL = {"death_year"}
LAST_YEAR = 2025


@pytest.fixture(scope="module")
def lines():
    text = TABLE.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    assert "\r" not in text
    return text[:-1].split("\n")


@pytest.fixture(scope="module")
def rows(lines):
    return [dict(zip(COLUMNS, line.split("\t"), strict=False)) for line in lines[1:]]


def test_header(lines):
    assert lines[0].split("\t") == COLUMNS


def test_column_count(lines):
    assert [line for line in lines if line.count("\t") != len(COLUMNS) - 1] == []


def test_row_count(rows):
    assert len(rows) >= 420


def test_cells_are_clean(lines):
    for line in lines:
        for cell in line.split("\t"):
            assert cell == cell.strip(), line
            assert "  " not in cell, line
            assert '"' not in cell, line


def test_required_cells(rows):
    for row in rows:
        for column in COLUMNS:
            if column not in OPTIONAL:
                assert row[column], (row["name"], column)


def test_field_is_one_to_three_words(rows):
    for row in rows:
        assert 1 <= len(row["field"].split()) <= 3, row["name"]


def test_names_are_unique(rows):
    names = [row["name"].casefold() for row in rows]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_known_for_is_a_phrase(rows):
    for row in rows:
        assert not row["known_for"].endswith("."), row["name"]
        assert len(row["known_for"].split()) <= 16, row["name"]


def test_known_for_is_unique(rows):
    phrases = [row["known_for"].casefold() for row in rows]
    assert sorted(p for p in set(phrases) if phrases.count(p) > 1) == []


def test_birth_years(rows):
    for row in rows:
        assert -1000 <= int(row["birth_year"]) <= 2010, row["name"]


def test_death_years(rows):
    for row in rows:
        born = int(row["birth_year"])
        if row["death_year"]:
            died = int(row["death_year"])
            assert born < died <= LAST_YEAR, row["name"]
            assert died - born < 120, row["name"]


def test_pronouns(rows):
    assert {row["pronoun"] for row in rows} <= {"he", "she", "they"}
