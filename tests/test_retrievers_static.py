"""Static models read without sentence-transformers: the same vectors as the library's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from indexes.passage import Passage
from retrievers.encoders import Encoder
from retrievers.errors import EncoderUnreadable
from retrievers.static import StaticModel, is_static

EMBEDDED = Path(__file__).parent.parent / "selfrag" / "assets" / "encoder"
TEXTS = [
    "What is the capital of Burkina Faso?",
    "",
    "   ",
    "Ouagadougou — 東京, São Tomé!",
    "a " * 3000,
    "\u0000\ufffd",
]


@pytest.mark.parametrize("normalise", [True, False])
def test_vectors_equal_those_of_the_library(normalise: bool) -> None:
    assert is_static(EMBEDDED)
    library = SentenceTransformer(str(EMBEDDED), device="cpu", local_files_only=True)
    ours = StaticModel(EMBEDDED)
    wanted = library.encode_query(TEXTS, prompt="x: ", normalize_embeddings=normalise)
    found = ours.encode_query(TEXTS, prompt="x: ", normalize_embeddings=normalise, batch_size=2)
    assert found.dtype == np.float32 and found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert ours.get_embedding_dimension() == library.get_embedding_dimension()
    assert ours.similarity_fn_name == str(library.similarity_fn_name)
    assert ours.prompts == library.prompts


def test_a_mean_by_hand_without_normalising(tmp_path: Path) -> None:
    folder = shutil.copytree(EMBEDDED, tmp_path / "encoder")
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:1]))
    (folder / "config_sentence_transformers.json").unlink()
    rows = load_file(folder / "model.safetensors")["embedding.weight"]
    model = StaticModel(folder)
    ids = model._tokenizer.encode("two words", add_special_tokens=False).ids
    assert len(ids) >= 2 and model.prompts == {} and model.similarity_fn_name == "cosine"
    by_hand = sum(rows[token].astype(np.float64) for token in ids) / len(ids)
    np.testing.assert_allclose(model.encode(["two words"])[0], by_hand, atol=1e-6)
    assert not model.encode([""]).any()


def test_other_forms_are_left_to_the_library(tmp_path: Path) -> None:
    assert not is_static(tmp_path)
    folder = shutil.copytree(EMBEDDED, tmp_path / "half")
    rows = load_file(folder / "model.safetensors")["embedding.weight"]
    save_file({"embedding.weight": rows.astype(np.float16)}, folder / "model.safetensors")
    assert not is_static(folder)
    folder = shutil.copytree(EMBEDDED, tmp_path / "cut")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:5000])
    assert not is_static(folder)
    with pytest.raises(EncoderUnreadable, match="cannot be loaded"):
        Encoder(folder)


def test_the_embedded_encoder_does_not_import_the_library() -> None:
    script = (
        "import sys\n"
        "from retrievers.encoders import Encoder\n"
        f"vector = Encoder({str(EMBEDDED)!r}).encode_queries(['polonium'])\n"
        "assert vector.shape == (1, 256)\n"
        "assert not {'sentence_transformers', 'torch', 'sklearn'} & set(sys.modules)\n"
    )
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root)


def test_the_encoder_gives_one_vector_per_passage() -> None:
    passages = [Passage("1", "Polonium", "It was discovered in 1898."), Passage("2", "", "Text")]
    vectors = Encoder(EMBEDDED).encode_passages(passages)
    assert vectors.shape == (2, 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
