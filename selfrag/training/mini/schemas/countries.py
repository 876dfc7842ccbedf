"""Countries: which relations they have, what passages say together, how a row is read."""

from selfrag.training.mini.schemas.cells import Row, lands, listed, values
from selfrag.training.mini.schemas.country_geography import CONTINENT, LARGEST_CITY
from selfrag.training.mini.schemas.country_government import CAPITAL, CURRENCY
from selfrag.training.mini.schemas.country_landscape import FEATURE, NEIGHBOURS
from selfrag.training.mini.schemas.country_people import DEMONYM, LANGUAGES
from selfrag.training.mini.schemas.relation import Entity, Kind, Relation, with_indefinite

COUNTRY = Kind(
    key="country",
    noun="country",
    naming="country",
    pronouns=("the country", "its"),
    relations=(
        CAPITAL,
        CURRENCY,
        LANGUAGES,
        CONTINENT,
        LARGEST_CITY,
        NEIGHBOURS,
        FEATURE,
        DEMONYM,
        Relation("capital_note", "sentence", "{v}", ("{v}",), asked=False),
    ),
    plans={
        "capital": ("capital",),
        "capital_note": ("capital_note",),
        "money": ("currency", "languages"),
        "location": ("continent", "neighbours"),
        "city": ("largest_city",),
        "nature": ("feature",),
        "people": ("demonym", "languages"),
    },
    described=("continent", "capital", "currency"),
)


def natural_feature(row: Row) -> str:
    """The feature as prose names it: "the Rhine", "the Sahara", "Mont Blanc"."""
    with_article = row["feature_kind"] in ("river", "desert")
    return f"the {row['feature']}" if with_article and row["feature"] else row["feature"]


def feature_slots(kind: str) -> dict[str, str]:
    """The words for a kind of natural feature."""
    return {"feature_noun": kind, "a_feature": with_indefinite(kind)}


def read_country(row: Row) -> Entity:
    """One row of the table as a country."""
    return Entity(
        COUNTRY,
        row["name"],
        row["article"],
        values(
            capital=row["capital"],
            capital_note=row["capital_note"],
            currency=listed(row["currency"]),
            languages=listed(row["languages"]),
            continent=listed(row["continent"]),
            largest_city=row["largest_city"],
            neighbours=lands(row["neighbours"]),
            feature=natural_feature(row),
            demonym=row["demonym"],
        ),
        feature_slots(row["feature_kind"]),
    )
