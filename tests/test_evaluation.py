"""Matching of answers, intervals, figures computed by hand, question files and the script."""

import importlib.util
import json
from pathlib import Path

import pytest
from scripted_rag import prompts
from tiny_models import ScriptedBackend

from decoding.config import DecodingConfig
from selfrag.answer import NOT_FOUND, Answer, Citation, Decision, Usage
from selfrag.evaluation.embedded import evaluate, report
from selfrag.evaluation.intervals import Proportion
from selfrag.evaluation.matching import contains_answer, is_right, normalise
from selfrag.evaluation.questions import (
    EvaluationQuestion,
    UnusableFile,
    read_questions,
    spread,
)
from selfrag.evaluation.table import figures_table, groups_table

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "evaluate_embedded.py"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The river is 1,230 km long.", "1230"),
        ("It runs for 1230 kilometres.", "1,230"),
        ("It covers 82\u202f100 square kilometres.", "82,100"),
        ("Its capital is Brasilia.", "Brasília"),
        ("Its capital is BRASÍLIA!", "brasilia"),
        ("He is Jorn Utzon.", "Jørn Utzon"),
        ("The city of Lodz", "Łódź"),
        ("It flows into the Mediterranean Sea.", "the Mediterranean Sea"),
        ("Mediterranean Sea", "The Mediterranean Sea"),
        ("St John's", "St. John\u2019s"),
        ("It is Washington, DC.", "Washington, D.C."),
        ("The prize was Nobel's idea.", "Nobel"),
        ("Port au Prince", "Port-au-Prince"),
        ("Nuku\u02bbalofa", "Nuku'alofa"),
        ("Pi is about 3.14.", "3.14"),
        ("It happened in 1881.", "1881"),
        ("The vitamin\u00a0C", "vitamin C"),
        ("ｆｕｌｌ width", "full width"),  # noqa: RUF001
        ("By J. J. Thomson.", "J.J. Thomson"),
        ("J.R.R. Tolkien", "J. R. R. Tolkien"),
        ("It is the US dollar.", "U.S. dollar"),
    ],
)
def test_contained(text, answer):
    assert contains_answer(text, [answer])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Nigeria is in Africa.", "Niger"),
        ("The number is 110.", "10"),
        ("Pi is about 3.14.", "3"),
        ("Pi is about 3.14.", "14"),
        ("It has 1,230 rooms.", "230"),
        ("It has 1,230 rooms.", "1"),
        ("It has 1,230,456 rooms.", "1230"),
        ("Sea, Mediterranean", "Mediterranean Sea"),
        ("goldfish", "gold"),
        ("Anything", ""),
        ("Anything ...", "..."),
        ("", "gold"),
    ],
)
def test_not_contained(text, answer):
    assert not contains_answer(text, [answer])


def test_a_short_list_is_not_a_long_number():
    assert normalise("in 1914, 1918 and 1,000,000") == ("in", "1914", "1918", "and", "1000000")
    assert not contains_answer("rooms 1,23 and 4", ["123"])


def test_a_right_answer_has_at_most_25_words():
    assert is_right("word " * 24 + "Accra", ["Accra"])
    assert not is_right("word " * 25 + "Accra", ["Accra"])


def test_wilson_interval():
    # By hand, z = 1.959964: centre (p + z²/2n)/(1 + z²/n), 8 of 10.
    low, high = Proportion(8, 10).interval
    assert low == pytest.approx(0.4901625, abs=1e-6)
    assert high == pytest.approx(0.9433178, abs=1e-6)
    assert Proportion(0, 0).value is None
    assert Proportion(0, 0).interval is None
    assert Proportion.of([True, False, False, True]).value == 0.5
    with pytest.raises(ValueError, match="between 0 and n"):
        Proportion(3, 2)


def answer(text, *, action="retrieve", cited=(), retrievals=1, tokens=10, **values):
    decision = Decision(0, action, 0.9, None, 1.0, 0.2, "threshold", 0)
    citations = tuple(
        Citation(number, f"p{number}", title, body, (0,))
        for number, (title, body) in enumerate(cited, 1)
    )
    usage = Usage(generated_tokens=tokens, retrievals=retrievals, passages=5 * retrievals)
    return Answer("", text, (), citations, (decision,), usage, **values)


GHANA = ("Ghana", "The capital of Ghana is Accra.")
QUESTIONS = [
    EvaluationQuestion("1", "Capital of Ghana?", "answerable", ("Accra",), "c.capital", "Ghana"),
    EvaluationQuestion("2", "Capital of Togo?", "answerable", ("Lomé",), "c.capital", "Togo"),
    EvaluationQuestion("3", "Which element is Au?", "answerable", ("gold",), "e.name", "gold"),
    EvaluationQuestion("4", "Capital of Mali?", "answerable", ("Bamako",), "c.capital", "Mali"),
    EvaluationQuestion("5", "What is 2 plus 2?", "no_retrieval", ("4", "four")),
    EvaluationQuestion("6", "Hello!", "no_retrieval"),
    EvaluationQuestion("7", "Capital of Atlantis?", "unanswerable"),
    EvaluationQuestion("8", "Mayor of Lyon?", "unanswerable"),
]
ANSWERS = {
    "Capital of Ghana?": answer("It is Accra.", cited=[GHANA]),
    "Capital of Togo?": answer("It is Lome.", cited=[GHANA], retrievals=2),
    "Which element is Au?": answer("Silver.", action="no_retrieval", retrievals=0, tokens=4),
    "Capital of Mali?": answer(NOT_FOUND, answerable=False, status="not_found"),
    "What is 2 plus 2?": answer("It is four.", action="no_retrieval", retrievals=0, tokens=6),
    "Hello!": answer("Hello.", cited=[GHANA]),
    "Capital of Atlantis?": answer(NOT_FOUND, answerable=False, draft="Accra."),
    "Mayor of Lyon?": answer("Accra.", tokens=20),
}


class FakeSelfRAG:
    """Answers by heart and remembers in which mode it was asked."""

    def __init__(self):
        self.config = DecodingConfig(beam_width=3)
        self.asked = []

    def ask(self, question, *, config=None):
        assert config.beam_width == 3 or config.mode == "adaptive"
        self.asked.append((config.mode, question))
        return ANSWERS.get(question, answer("Hello."))

    def ask_many(self, questions, *, config=None):
        return [self.ask(question, config=config) for question in questions]

    def describe(self):
        return {"model": "fake"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def test_figures_by_hand():
    advanced = []
    rag = FakeSelfRAG()
    result = evaluate(rag, QUESTIONS, "adaptive", sample=2, advance=advanced.append)
    data = result.figures.to_dict()
    assert data["accuracy"] == 2 / 4
    assert data["citation_accuracy"] == 1 / 2
    assert data["decision_accuracy"] == 6 / 8  # wrong: 3 did not retrieve, 6 did
    assert data["refusal_accuracy"] == 1 / 2
    assert data["false_refusal_rate"] == 1 / 4
    assert data["retrieval_rate"] == 6 / 8
    assert data["n"] == {
        "accuracy": 4,
        "citation_accuracy": 2,
        "decision_accuracy": 8,
        "refusal_accuracy": 2,
        "false_refusal_rate": 4,
        "retrieval_rate": 8,
    }
    assert data["passages_per_question"] == 35 / 8
    assert data["generated_tokens_per_question"] == 80 / 8
    assert data["accuracy_by_kind"]["no_retrieval"]["value"] == 1.0
    assert data["accuracy_by_relation"]["c.capital"]["value"] == 2 / 3
    assert data["accuracy_by_relation"]["e.name"]["value"] == 0.0
    assert data["decision_accuracy_by_kind"]["no_retrieval"]["value"] == 0.5
    assert data["statuses"] == {"complete": 7, "not_found": 1}
    low, high = data["intervals"]["accuracy"]
    assert (low, high) == pytest.approx((0.1500, 0.8500), abs=1e-4)
    assert data["asked_one_by_one"] == data["same_text_one_by_one"] == 2
    assert data["seconds_per_question"] >= 0
    assert sum(advanced) == 10
    assert {mode for mode, _ in rag.asked} == {"adaptive"}


def test_decisions_of_a_mode_are_not_judged():
    data = evaluate(FakeSelfRAG(), QUESTIONS, "always", sample=0).figures.to_dict()
    assert data["decision_accuracy"] is None
    assert data["intervals"]["decision_accuracy"] is None
    assert data["n"]["decision_accuracy"] == 0
    assert data["seconds_per_question"] is None


def test_figures_without_a_kind():
    data = evaluate(FakeSelfRAG(), QUESTIONS[5:6], "adaptive", sample=0).figures.to_dict()
    assert data["accuracy"] is None
    assert data["citation_accuracy"] is None
    json.dumps(data, allow_nan=False)


def test_report_and_tables():
    results = [evaluate(FakeSelfRAG(), QUESTIONS, mode) for mode in ("adaptive", "never")]
    data = report(results, {"model": "fake"})
    assert list(data["modes"]) == ["adaptive", "never"]
    assert data["questions"] == 8
    assert data["kinds"] == {"answerable": 4, "no_retrieval": 2, "unanswerable": 2}
    json.dumps(data, allow_nan=False)
    assert figures_table([item.figures for item in results]).row_count > 6
    assert groups_table(results[0].figures).row_count == 4


def test_spread():
    assert spread("abcdefgh", 4) == ["a", "c", "e", "g"]
    assert spread("abc", 5) == spread("abc", None) == ["a", "b", "c"]
    assert spread("abc", 0) == []


def write(tmp_path, *lines):
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_minimal_rows(tmp_path):
    path = write(
        tmp_path,
        '\ufeff{"question": "Who?", "answers": ["a", "b"]}',
        "",
        '{"question": "What?", "answer": "c", "id": 7, "extra": 1}',
        '{"question": "Hi", "kind": "no_retrieval"}',
    )
    first, second, third = read_questions(path)
    assert (first.id, first.kind, first.answers) == ("1", "answerable", ("a", "b"))
    assert (second.id, second.answers) == ("7", ("c",))
    assert (third.id, third.kind, third.answers) == ("4", "no_retrieval", ())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ("[]", "line 2: expected a JSON object"),
        ('{"answer": "a"}', "line 2: `question` must be a text"),
        ('{"question": "  ", "answer": "a"}', "line 2: `question` must be a text"),
        ('{"question": "q"}', "line 2: an answerable question needs"),
        ('{"question": "q", "answers": []}', "line 2: an answerable question needs"),
        ('{"question": "q", "answers": [1]}', "line 2: an answer must be a text"),
        ('{"question": "q", "answer": " "}', "line 2: an answer must be a text"),
        ('{"question": "q", "kind": "hard"}', "line 2: `kind` is 'hard'"),
        ('{"question": "q", "kind": []}', "line 2: `kind` is"),
        ('{"question": "q", "answer": "a", "id": []}', "line 2: `id` must be a text"),
        ('{"question": "q", "answer": "a", "id": "1"}', "line 2: the id '1' is taken by line 1"),
    ],
)
def test_bad_rows(tmp_path, line, message):
    path = write(tmp_path, '{"question": "fine", "answer": "a"}', line)
    with pytest.raises(UnusableFile, match=message.replace("(", r"\(")):
        read_questions(path)


def test_bad_files(tmp_path):
    with pytest.raises(UnusableFile, match="Cannot read"):
        read_questions(tmp_path / "missing.jsonl")
    with pytest.raises(UnusableFile, match="no question"):
        read_questions(write(tmp_path, "", " "))
    (tmp_path / "latin.jsonl").write_bytes(b'{"question": "\xe9"}')
    with pytest.raises(UnusableFile, match="UTF-8"):
        read_questions(tmp_path / "latin.jsonl")


@pytest.fixture
def script(monkeypatch):
    specification = importlib.util.spec_from_file_location("evaluate_embedded", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    made = []

    class Loader:
        @staticmethod
        def from_pretrained(model=None, **options):
            made.append((model, options))
            return FakeSelfRAG()

    monkeypatch.setattr("selfrag.rag.SelfRAG", Loader)
    missing = "selfrag.evaluation.judgements.EMBEDDED_JUDGEMENTS"
    monkeypatch.setattr(missing, Path("no judgements"))
    module.made = made
    return module


def question_file(tmp_path):
    rows = [
        {"question": q.text, "kind": q.kind, "answers": list(q.answers), "relation": q.relation}
        for q in QUESTIONS
    ]
    return str(write(tmp_path, *map(json.dumps, rows)))


def test_script_prints_one_object(script, tmp_path, capsys):
    details = tmp_path / "details.jsonl"
    arguments = ["--questions", question_file(tmp_path), "--json", "--modes", "adaptive,never"]
    assert script.main([*arguments, "--details", str(details), "--model", "m"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["modes"]["adaptive"]["accuracy"] == 0.5
    assert data["description"] == {"model": "fake"}
    assert script.made == [("m", {"index": None, "engine": "batched"})]
    rows = [json.loads(line) for line in details.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 16
    assert rows[6]["draft"] == "Accra."
    assert rows[0]["citations"][0]["title"] == "Ghana"


def test_script_prints_a_table_and_takes_a_limit(script, tmp_path, capsys):
    assert script.main(["--questions", question_file(tmp_path), "--limit", "4"]) == 0
    out = capsys.readouterr().out
    assert "4 questions" in out
    assert "citation accuracy" in out


JUDGEMENT = {"question": "Q", "passage": {"text": "p"}, "sentence": "cat.", "label": "fully"}


def test_script_judges_and_compares(script, tmp_path, capsys, monkeypatch):
    backend = ScriptedBackend(prompts(), {"cat.": {"[Fully supported]": 0.75}}, 64)
    opened = []
    monkeypatch.setattr(
        "selfrag.evaluation.judge.open_judge",
        lambda *names: opened.append(names) or (backend, prompts()),
    )
    rows = [JUDGEMENT, {**JUDGEMENT, "label": "no"}, {**JUDGEMENT, "sentence": "cat " * 64}]
    labelled = tmp_path / "judgements.jsonl"
    labelled.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = ["--questions", question_file(tmp_path), "--judgements", str(labelled)]
    assert script.main([*arguments, "--compare", "--json", "--sample", "0"]) == 0
    out, err = capsys.readouterr()
    assert "1 of 3 sentences are not judged" in err and ": 3" in err
    data = json.loads(out)
    assert opened == [(None, "batched")]
    support = data["sections"]["is_sup_accuracy"]
    assert support["accuracy"]["value"] == 0.5 and support["accuracy"]["n"] == 2
    assert support["not_judged"] == ["3"]
    assert support["accuracy_by_label"]["no"]["value"] == 0.0
    # One label of confidence 1 within its group, right once: |1/2 - 1|.
    assert data["sections"]["calibration"]["IsSup"]["value"] == pytest.approx(0.5)
    assert "is_sup_accuracy" not in data["modes"]["adaptive"]["sections"]
    difference = data["comparisons"]["beam_2_against_greedy"]["differences"]["single_hop"]
    assert difference["difference"] == {"value": 0.0, "interval": [0.0, 0.0], "n": 4}
    assert script.main([*arguments, "--compare", "--modes", "adaptive", "--sample", "0"]) == 0
    out = capsys.readouterr().out
    assert "capabilities, adaptive" in out and "paired comparisons" in out


def test_script_refuses_bad_input(script, tmp_path, capsys):
    bad = write(tmp_path, '{"question": "q"}')
    assert script.main(["--questions", str(bad)]) == 2
    assert "line 1" in capsys.readouterr().err
    missing = str(tmp_path / "nowhere" / "details.jsonl")
    assert script.main(["--questions", question_file(tmp_path), "--details", missing]) == 2
    for option, value in [("--modes", "sometimes"), ("--limit", "0"), ("--sample", "-1")]:
        with pytest.raises(SystemExit) as stop:
            script.main([option, value])
        assert stop.value.code == 2
    assert script.made == []
