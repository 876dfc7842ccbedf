"""Random values for the slots of reading exercises: a person, a colour, a date, for each sort."""

from random import Random

from selfrag.training.mini.asides.arithmetic import NUMBER_WORDS
from selfrag.training.mini.lexicon import Lexicon
from selfrag.training.mini.naming import Names
from selfrag.training.mini.schemas.relation import capitalised, joined
from selfrag.training.mini.schemas.tables import KINDS
from selfrag.training.mini.valuing import Values
from selfrag.training.mini.vocabulary import ADJECTIVES, EVENTS, NOUNS, PROFESSIONS

WORDS: dict[str, str] = {
    "continent": "Africa Asia Europe Oceania Antarctica North_America South_America",
    "month": "January February March April May June July August September October November "
    "December",
    "weekday": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "ordinal": "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth",
    "colour": "red blue green yellow black white grey brown orange purple pink violet golden "
    "silver turquoise scarlet crimson beige maroon indigo ivory cream bronze "
    "pale_blue dark_green",
    "animal": "horse dog cat cow goat sheep pig donkey camel lion tiger bear wolf fox deer "
    "rabbit squirrel otter badger mouse rat bat seal whale dolphin shark salmon trout "
    "eel frog toad snake lizard turtle crocodile eagle owl raven crow swan goose duck "
    "hen pigeon parrot penguin ostrich stork spider ant bee wasp butterfly moth "
    "beetle crab lobster snail octopus elephant giraffe zebra monkey gorilla kangaroo "
    "koala panda llama hedgehog mole beaver falcon heron peacock",
    "plant": "oak pine birch willow maple cedar rose lily tulip daisy poppy fern moss ivy "
    "clover wheat barley rye oats rice maize cotton flax bamboo reed cactus lavender "
    "mint sage thyme basil nettle thistle sunflower orchid violet heather juniper "
    "olive vine fig palm ginger garlic onion cabbage bean pea lentil tomato potato "
    "carrot spinach beetroot",
    "food": "bread cheese butter rice soup stew porridge dumpling pancake pie omelette salad "
    "sausage ham bacon noodle pizza curry pudding cake biscuit honey jam yoghurt egg "
    "fish_soup goulash paella risotto lasagne couscous kebab sandwich chocolate "
    "caramel apple_pie potato_salad",
    "drink": "water milk tea coffee beer wine cider juice lemonade cocoa rum gin brandy whisky "
    "vodka mead green_tea apple_juice punch sherry champagne",
    "material": "copper iron silver gold tin lead zinc steel bronze brass wood oak marble granite "
    "sandstone clay glass wool cotton silk linen leather paper rubber wax bone ivory "
    "ebony amber coal sulphur chalk slate concrete plastic cork felt velvet straw "
    "bamboo limestone aluminium",
    "object": "hammer lamp clock mirror table chair bed box basket bucket bell book candle "
    "carpet coin comb crown cup drum fan flag fork glove hat helmet key kettle knife "
    "ladder letter map mask medal nail needle pen pillow plate pot ring rope saddle "
    "scarf shield shoe spoon stamp sword telescope tent torch toy trophy umbrella "
    "vase wallet wheel whistle window statue pipe",
    "tool": "hammer saw axe chisel drill plane file spade rake hoe sickle scythe shears "
    "scissors tongs pliers spanner screwdriver trowel brush needle anvil crowbar "
    "lathe knife mallet",
    "vehicle": "bicycle car bus lorry tram train ship boat canoe ferry sledge cart carriage "
    "tractor motorcycle balloon glider helicopter aeroplane submarine yacht raft "
    "scooter van ambulance",
    "clothing": "hat coat scarf shirt skirt dress glove boot sandal belt cloak apron veil turban "
    "vest jacket shawl sash tunic kilt bonnet waistcoat cap sock",
    "sport": "football tennis golf hockey rugby cricket handball volleyball basketball "
    "baseball badminton boxing fencing judo wrestling archery rowing sailing swimming "
    "diving skiing cycling curling polo squash water_polo table_tennis",
    "instrument": "violin cello viola piano organ flute oboe clarinet bassoon trumpet trombone "
    "horn tuba harp guitar lute banjo mandolin drum accordion harmonica saxophone zither "
    "bagpipe harpsichord xylophone",
    "bodypart": "heart liver lung kidney stomach brain eye ear nose tongue throat neck shoulder "
    "arm elbow wrist hand finger thumb chest back hip leg knee ankle foot toe skin "
    "spine skull jaw",
    "disease": "measles mumps cholera malaria typhoid plague smallpox scarlet_fever tuberculosis "
    "influenza gout asthma rickets anaemia leprosy diphtheria tetanus polio rabies "
    "dysentery pneumonia yellow_fever scurvy",
    "subject": "mathematics physics chemistry biology botany zoology astronomy geology geography "
    "history philosophy law medicine theology music painting architecture engineering "
    "economics linguistics grammar logic rhetoric archaeology agriculture psychology "
    "statistics",
    "genre": "comedy tragedy romance satire thriller fantasy adventure mystery horror western "
    "jazz folk blues rock opera waltz polka science_fiction detective_story fable "
    "ballad",
    "shape": "circle square triangle star cross crescent spiral hexagon oval cube sphere cone "
    "pyramid cylinder heart ring arch diamond",
    "emotion": "joy anger fear grief envy pride shame hope love hatred pity courage jealousy "
    "sorrow gratitude boredom loneliness",
    "weapon": "sword spear bow axe dagger musket cannon pistol lance mace crossbow sling rifle "
    "sabre catapult halberd",
    "building": "church castle palace temple mosque tower mill barn bridge school hospital "
    "library theatre museum factory warehouse prison monastery lighthouse market_hall "
    "town_hall villa inn stable station observatory",
}
KINDS_BY_KEY = {kind.key: kind for kind in KINDS}
NAMED = {"title": "work", "river": "river", "mountain": "mountain", "lake": "lake"}
ORGANISATIONS = (
    "{} Company", "{} Society", "{} Union", "{} Institute", "{} Brothers", "the {} Foundation",
    "{} Works", "the {} League", "{} and Sons", "the {} Academy", "{} Bank", "{} Group",
    "the Order of {}", "{} Motors", "the {} Council", "{} University",
)  # fmt: skip
CENTURY_ENDS = {1: "st", 2: "nd", 3: "rd", 21: "st"}


class Sorts:
    """Draws a value of any sort that exercises name; `draw` raises KeyError for others."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon, self.values, self.names = lexicon, Values(lexicon), Names(lexicon)
        self.words = {sort: text.split() for sort, text in WORDS.items()}

    def draw(self, sort: str, rng: Random) -> str:
        """One value, as it stands inside a sentence."""
        if sort in self.words:
            if sort not in ("month", "weekday", "ordinal", "continent") and rng.random() < 0.15:
                return self._common(rng)
            return rng.choice(self.words[sort]).replace("_", " ")
        if sort in NAMED:
            return self.names.draw(KINDS_BY_KEY[NAMED[sort]], rng)
        return self._proper(sort, rng) or self._number(sort, rng)

    def _common(self, rng: Random) -> str:
        """Any common noun, now and then with an adjective."""
        noun = rng.choice(self.words[rng.choice(("object", "animal", "plant", "material"))])
        noun = rng.choice((noun.replace("_", " "), rng.choice(NOUNS)))
        return f"{rng.choice(ADJECTIVES)} {noun}" if rng.random() < 0.25 else noun

    def _proper(self, sort: str, rng: Random) -> str:
        """Names and words; empty for numbers and measures."""
        word, place = self.lexicon.model.word, self.lexicon.model.place
        if sort == "person":
            return self.lexicon.person(rng)
        if sort == "people":
            several = rng.choices((1, 2, 3), (6, 3, 1))[0]
            return joined([self.lexicon.person(rng) for _ in range(several)])
        if sort in ("city", "country", "region", "place", "island", "name", "sea", "god"):
            if sort in ("city", "country") and rng.random() < 0.15:
                return rng.choice(self.lexicon.names[sort])
            if sort == "island":
                return rng.choice(("{}", "{} Island", "the island of {}")).format(place(rng))
            if sort == "sea":
                return rng.choice(("the {} Sea", "the {} Ocean", "the Gulf of {}")).format(
                    place(rng)
                )
            return word(rng) if sort in ("name", "god") else place(rng)
        if sort == "organisation":
            return rng.choice(ORGANISATIONS).format(place(rng))
        if sort == "nationality":
            return self.values.draw("demonym", rng)
        if sort == "language":
            return word(rng) + rng.choice(("ish", "ian", "ese", "i", "an", "ic"))
        if sort == "currency":
            return self.values.draw("currency", rng)
        if sort == "profession":
            return rng.choice(PROFESSIONS)
        if sort == "adjective":
            return rng.choice(ADJECTIVES)
        if sort == "word":
            return rng.choice(NOUNS) if rng.random() < 0.5 else self._common(rng)
        if sort == "words":
            text = f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"
            return text if rng.random() < 0.5 else f"{text} of {rng.choice(self.lexicon.words)}"
        if sort == "event":
            return f"{rng.choice(EVENTS)} {place(rng)}"
        if sort == "symbol":
            size = rng.randint(1, 4)
            text = "".join(rng.choice("ABCDEFGHIJKLMNOPRSTUVWXYZ") for _ in range(size))
            return text if size > 2 else capitalised(text.lower())
        return rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") if sort == "letter" else ""

    def _number(self, sort: str, rng: Random) -> str:
        """Numbers, dates and measures. KeyError for an unknown sort."""
        if sort == "year":
            return self.values.draw("year", rng)
        if sort == "date":
            month = rng.choice(self.words["month"])
            return f"{rng.randint(1, 28)} {month} {rng.randint(1100, 2024)}"
        if sort == "century":
            number = rng.randint(1, 21)
            return f"{number}{CENTURY_ENDS.get(number, 'th')} century"
        if sort == "duration":
            unit = rng.choice(("minutes", "hours", "days", "weeks", "months", "years"))
            return f"{rng.randint(2, 120)} {unit}"
        if sort == "number" and rng.random() < 0.15:
            return rng.choice(NUMBER_WORDS[2:13])
        plain = {
            "number": f"{rng.randint(2, 150)}",
            "count": f"{rng.randint(1000, 9_999_999 if rng.random() < 0.3 else 99_999):,}",
            "percent": f"{rng.randint(1, 99)} percent",
            "money": f"{rng.randint(2, 90_000):,} {rng.choice(('dollars', 'euros', 'pounds'))}",
            "kilometres": f"{rng.randint(2, 9999):,} kilometres",
            "metres": f"{rng.randint(2, 9999):,} metres",
            "kilograms": f"{rng.randint(2, 9999):,} kilograms",
            "degrees": f"{rng.randint(2, 2500):,} degrees",
        }
        return plain[sort]
