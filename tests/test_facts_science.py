"""Shape and plausibility checks of the science fact tables."""

import re
from pathlib import Path

import pytest

FACTS = Path(__file__).resolve().parents[1] / "selfrag" / "training" / "mini" / "facts"

# table: (columns, required columns, key column, minimum number of rows)
TABLES = {
    "elements": (
        "name symbol number discoverer year period_known use category named_after",
        "name symbol number use category",
        "name",
        118,
    ),
    "planets": (
        "name kind order diameter_km year_length moons discoverer discovery_year note",
        "name kind note",
        "name",
        13,
    ),
    "moons": (
        "name article planet diameter_km discoverer year note",
        "name planet",
        "name",
        40,
    ),
    "inventions": (
        "name article kind who year description",
        "name kind who description",
        "name",
        220,
    ),
    "animals": ("name class diet young group habitat", "name class habitat", "name", 120),
    "superlatives_science": ("subject answer detail", "subject answer", "subject", 60),
    "terms": ("subject answer sentence", "subject answer sentence", "subject", 150),
}

LIST_COLUMNS = {"discoverer", "who"}
YEAR_COLUMNS = {"year", "discovery_year"}
SENTENCE_COLUMNS = {"note", "detail", "sentence"}


def raw_lines(table):
    text = (FACTS / f"{table}.tsv").read_bytes().decode("utf-8")
    assert text.endswith("\n") and "\r" not in text
    return text[:-1].split("\n")


def rows(table):
    header, *body = raw_lines(table)
    names = header.split("\t")
    return [dict(zip(names, line.split("\t"), strict=False)) for line in body]


def number(row, column):
    return int(row[column]) if row[column] else None


@pytest.mark.parametrize("table", TABLES)
def test_shape(table):
    columns, required, key, minimum = TABLES[table]
    lines = raw_lines(table)
    assert lines[0].split("\t") == columns.split()
    assert len(lines) - 1 >= minimum
    for line in lines:
        cells = line.split("\t")
        assert len(cells) == len(columns.split()), line
        for cell in cells:
            assert cell == cell.strip() and '"' not in cell and "  " not in cell, line
    table_rows = rows(table)
    for row in table_rows:
        for column in required.split():
            assert row[column], (column, row)
    keys = [row[key].casefold() for row in table_rows]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("table", TABLES)
def test_cell_formats(table):
    for row in rows(table):
        for column, cell in row.items():
            if not cell:
                continue
            if column in YEAR_COLUMNS:
                assert re.fullmatch(r"\d{4}", cell) and 1000 <= int(cell) <= 2025, row
            elif column in LIST_COLUMNS:
                items = cell.split(";")
                assert all(item and item == item.strip() for item in items), row
                assert len(items) == len(set(items)), row
            elif column == "article":
                assert cell == "the", row
            elif column in SENTENCE_COLUMNS:
                assert cell.endswith(".") and len(cell) > 15, row
                assert cell[0].isupper() or cell[0].isdigit(), row


def test_elements():
    elements = rows("elements")
    assert [number(row, "number") for row in elements] == list(range(1, 119))
    symbols = [row["symbol"] for row in elements]
    assert len(set(symbols)) == len(symbols)
    assert all(re.fullmatch(r"[A-Z][a-z]?", symbol) for symbol in symbols)
    categories = {
        "noble gas",
        "alkali metal",
        "alkaline earth metal",
        "transition metal",
        "post-transition metal",
        "metalloid",
        "nonmetal",
        "halogen",
        "lanthanide",
        "actinide",
        "superheavy element",
    }
    for row in elements:
        assert row["name"] == row["name"].lower()
        assert row["category"] in categories, row
        assert row["use"].startswith(("in ", "for ")), row
        # either a dated discovery with its discoverer, or known since long ago
        assert bool(row["year"]) == bool(row["discoverer"]) != bool(row["period_known"]), row


@pytest.mark.parametrize(
    ("category", "numbers"),
    [
        ("noble gas", [2, 10, 18, 36, 54, 86]),
        ("alkali metal", [3, 11, 19, 37, 55, 87]),
        ("alkaline earth metal", [4, 12, 20, 38, 56, 88]),
        ("halogen", [9, 17, 35, 53, 85]),
        ("lanthanide", list(range(57, 72))),
        ("actinide", list(range(89, 104))),
        ("superheavy element", list(range(104, 119))),
    ],
)
def test_element_groups(category, numbers):
    found = [number(row, "number") for row in rows("elements") if row["category"] == category]
    assert found == numbers


def test_planets():
    planets = rows("planets")
    ordered = [row for row in planets if row["kind"] == "planet"]
    assert [number(row, "order") for row in ordered] == list(range(1, 9))
    for row in planets:
        assert row["kind"] in {"planet", "dwarf planet"}
        assert bool(row["order"]) == (row["kind"] == "planet")
        diameter = number(row, "diameter_km")
        if row["kind"] == "planet":
            assert 4_000 < diameter < 150_000 and row["year_length"]
        elif diameter is not None:
            assert 500 < diameter < 2_500
        if row["year_length"]:
            assert re.fullmatch(r"[\d.]+ (Earth )?(days|years)", row["year_length"]), row
        moons = number(row, "moons")
        assert moons is None or 0 <= moons <= 5
        assert row["note"].startswith(row["name"])


def test_moons():
    planets = {row["name"]: row for row in rows("planets")}
    moons = rows("moons")
    for row in moons:
        assert row["planet"] in planets, row
        diameter = number(row, "diameter_km")
        assert diameter is None or 5 < diameter < 5_300, row
        own = planets[row["planet"]]["diameter_km"]
        if diameter and own:
            assert diameter < int(own), row
        if row["note"]:
            assert row["name"] in row["note"], row
    for name, planet in planets.items():
        if planet["moons"]:
            assert sum(row["planet"] == name for row in moons) <= int(planet["moons"]), name
    by_name = {row["name"]: row for row in moons}
    assert by_name["Moon"]["article"] == "the"
    largest = max(moons, key=lambda row: number(row, "diameter_km") or 0)
    assert largest["name"] == "Ganymede"


def test_inventions():
    inventions = rows("inventions")
    for row in inventions:
        assert row["kind"] in {"invention", "discovery"}, row
        assert not row["description"].endswith("."), row
        assert not row["name"].startswith(("the ", "The ", "a ", "an ")), row
    dated = sum(bool(row["year"]) for row in inventions)
    assert dated >= 0.95 * len(inventions)


def test_animals():
    classes = {
        "mammal",
        "bird",
        "reptile",
        "fish",
        "amphibian",
        "insect",
        "arachnid",
        "mollusc",
        "crustacean",
        "other invertebrate",
    }
    diets = {
        "",
        "carnivore",
        "herbivore",
        "omnivore",
        "insectivore",
        "scavenger",
        "filter feeder",
        "detritivore",
    }
    for row in rows("animals"):
        assert row["class"] in classes, row
        assert row["diet"] in diets, row
        assert not re.search(r"\d", "".join(row.values())), row


def test_superlatives():
    for row in rows("superlatives_science"):
        assert not row["subject"].lower().startswith(("the ", "what ")), row
        assert not row["subject"].endswith("?"), row
        assert not row["answer"].endswith("."), row


def test_terms():
    for row in rows("terms"):
        assert row["answer"] in row["sentence"], row
        assert not row["subject"].endswith("?"), row
        assert not row["answer"].endswith("."), row


def test_tables_agree():
    answers = {row["subject"]: row["answer"] for row in rows("superlatives_science")}
    planets = [row for row in rows("planets") if row["kind"] == "planet"]
    by_size = sorted(planets, key=lambda row: int(row["diameter_km"]))
    assert answers["smallest planet in the Solar System"] == by_size[0]["name"]
    assert answers["largest planet in the Solar System"] == by_size[-1]["name"]
    assert answers["second-largest planet in the Solar System"] == by_size[-2]["name"]
    for planet in ("Mars", "Saturn", "Uranus", "Neptune"):
        moons = [row for row in rows("moons") if row["planet"] == planet and row["diameter_km"]]
        largest = max(moons, key=lambda row: int(row["diameter_km"]))
        assert answers[f"largest moon of {planet}"] == largest["name"]
