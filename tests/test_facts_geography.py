"""Checks on the geography fact tables: their shape, their ranges and how they agree."""

from pathlib import Path

import pytest

FACTS = Path(__file__).resolve().parents[1] / "selfrag" / "training" / "mini" / "facts"

COLUMNS = {
    "countries": [
        "name",
        "article",
        "capital",
        "capital_note",
        "currency",
        "languages",
        "continent",
        "largest_city",
        "neighbours",
        "feature_kind",
        "feature",
        "demonym",
    ],
    "rivers": ["name", "length_km", "mouth", "countries"],
    "mountains": ["name", "height_m", "countries", "range"],
    "lakes": ["name", "countries", "area_km2", "kind"],
    "cities": ["name", "country", "known_for", "region"],
    "superlatives_geo": ["subject", "answer", "detail"],
}

REQUIRED = {
    "countries": ["name", "capital", "currency", "languages", "continent"],
    "rivers": ["name", "length_km", "mouth", "countries"],
    "mountains": ["name", "height_m", "countries"],
    "lakes": ["name", "countries"],
    "cities": ["name", "country", "known_for"],
    "superlatives_geo": ["subject", "answer"],
}

MINIMUM_ROWS = {
    "countries": 197,
    "rivers": 150,
    "mountains": 150,
    "lakes": 100,
    "cities": 220,
    "superlatives_geo": 60,
}

LIST_COLUMNS = [
    ("countries", "languages", 6),
    ("countries", "neighbours", 20),
    ("rivers", "countries", 4),
    ("mountains", "countries", 4),
    ("lakes", "countries", 6),
]

NUMBERS = [
    ("rivers", "length_km", 20, 7000),
    ("mountains", "height_m", 100, 8849),
    ("lakes", "area_km2", 1, 400000),
]

CONTINENTS = {"Africa", "Asia", "Europe", "North America", "South America", "Oceania"}
FEATURE_KINDS = {"river", "lake", "mountain", "island", "desert", "volcano"}
LAKE_KINDS = {"", "freshwater", "saltwater"}


def raw_rows(table):
    text = (FACTS / f"{table}.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n") and "\r" not in text
    return [line.split("\t") for line in text.removesuffix("\n").split("\n")]


def load(table):
    header, *rows = raw_rows(table)
    return [dict(zip(header, row, strict=True)) for row in rows]


def items(cell):
    return cell.split(";") if cell else []


@pytest.fixture(scope="module")
def countries():
    return {row["name"]: row for row in load("countries")}


@pytest.mark.parametrize("table", COLUMNS)
def test_header_and_column_counts(table):
    header, *rows = raw_rows(table)
    assert header == COLUMNS[table]
    assert [row for row in rows if len(row) != len(header)] == []
    assert len(rows) >= MINIMUM_ROWS[table]


@pytest.mark.parametrize("table", COLUMNS)
def test_cells_are_clean(table):
    for row in raw_rows(table)[1:]:
        for cell in row:
            assert cell == cell.strip(), row
            assert "  " not in cell and '"' not in cell, row


@pytest.mark.parametrize("table", COLUMNS)
def test_required_cells_are_filled(table):
    for row in load(table):
        assert all(row[column] for column in REQUIRED[table]), row


@pytest.mark.parametrize("table", COLUMNS)
def test_names_are_unique(table):
    names = [row[COLUMNS[table][0]] for row in load(table)]
    assert len(names) == len({name.casefold() for name in names})


@pytest.mark.parametrize(("table", "column", "most"), LIST_COLUMNS)
def test_lists_are_well_formed(table, column, most):
    for row in load(table):
        parts = items(row[column])
        assert len(parts) <= most, row
        assert len(parts) == len(set(parts)), row
        assert all(part and part == part.strip() for part in parts), row


@pytest.mark.parametrize(("table", "column", "low", "high"), NUMBERS)
def test_numbers_are_plausible(table, column, low, high):
    for row in load(table):
        if row[column]:
            assert row[column].isascii() and row[column].isdigit(), row
            assert low <= int(row[column]) <= high, row


def test_continents_articles_and_kinds(countries):
    for row in countries.values():
        assert row["continent"] in CONTINENTS, row
        assert row["article"] in {"", "the"}, row
        assert bool(row["feature_kind"]) == bool(row["feature"]), row
        assert not row["feature_kind"] or row["feature_kind"] in FEATURE_KINDS, row
    assert all(row["kind"] in LAKE_KINDS for row in load("lakes"))


def test_exact_number_of_countries(countries):
    assert len(countries) == 197


def test_capitals_are_unique(countries):
    capitals = [row["capital"] for row in countries.values()]
    assert len(capitals) == len(set(capitals))


def test_neighbours_are_symmetric(countries):
    for name, row in countries.items():
        for other in items(row["neighbours"]):
            assert other != name
            assert other in countries, (name, other)
            assert name in items(countries[other]["neighbours"]), (name, other)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("rivers", "countries"),
        ("mountains", "countries"),
        ("lakes", "countries"),
        ("cities", "country"),
    ],
)
def test_countries_named_elsewhere_exist(countries, table, column):
    for row in load(table):
        assert [name for name in items(row[column]) if name not in countries] == [], row


@pytest.mark.parametrize("table", ["mountains", "lakes"])
def test_shared_mountains_and_lakes_lie_in_neighbouring_countries(countries, table):
    for row in load(table):
        names = items(row["countries"])
        for name in names if len(names) > 1 else []:
            assert set(names) & set(items(countries[name]["neighbours"])), (name, row)


def test_cities_are_not_capitals(countries):
    capitals = {row["capital"] for row in countries.values()}
    assert [row["name"] for row in load("cities") if row["name"] in capitals] == []


def test_sentences_end_with_a_full_stop(countries):
    notes = [row["capital_note"] for row in countries.values()]
    notes += [row["detail"] for row in load("superlatives_geo")]
    assert [note for note in notes if note and not note.endswith(".")] == []


def test_phrases_fit_their_sentences():
    for row in load("superlatives_geo"):
        assert not row["subject"].startswith(("the ", "The ", "a ", "an ")), row
        assert not row["answer"].endswith("."), row
    for row in load("cities"):
        assert not row["known_for"].startswith("as "), row
        assert not row["known_for"].endswith("."), row


def test_heights_agree_between_tables():
    heights = {row["name"]: int(row["height_m"]) for row in load("mountains")}
    for row in load("superlatives_geo"):
        figure = row["detail"].removeprefix("It rises to ").split(" metres")[0].replace(",", "")
        name = row["answer"].removeprefix("the ")
        if name in heights and figure.isdigit():
            assert heights[name] == int(figure), row


@pytest.mark.parametrize(
    ("table", "column", "opening", "unit"),
    [
        ("rivers", "length_km", "It is about ", " kilometres long."),
        ("lakes", "area_km2", "It covers about ", " square kilometres."),
    ],
)
def test_lengths_and_areas_agree_between_tables(table, column, opening, unit):
    known = {row["name"]: row[column] for row in load(table)}
    for row in load("superlatives_geo"):
        detail, name = row["detail"], row["answer"].removeprefix("the ")
        if detail.startswith(opening) and detail.endswith(unit) and known.get(name):
            assert known[name] == detail.removeprefix(opening).removesuffix(unit).replace(
                ",", ""
            ), row
