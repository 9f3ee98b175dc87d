"""The contract of every embedder, and what each one adds."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.embedding.base import Embedder
from engine.embedding.fake import HashingEmbedder
from engine.embedding.registry import create_embedder
from engine.embedding.remembering import RememberingEmbedder
from engine.embedding.sentence_transformer import SentenceTransformerEmbedder
from engine.errors import InputError, ModelFileError

TEXTS = ["Parcels arrive within five days.", "", "Parcels arrive within six days.", "word " * 3000, "Öl, 水 and 🙂", "\x00\n\t"]


@pytest.fixture(scope="module")
def minilm(models_dir: Path) -> Embedder:
    return create_embedder("all-MiniLM-L6-v2", models_dir)


class EmbedderContract:
    """What every strategy promises; subclasses give `embedder`."""

    @pytest.fixture
    def embedder(self, request: pytest.FixtureRequest) -> Embedder:
        raise NotImplementedError

    def test_shape_type_and_unit_length(self, embedder: Embedder) -> None:
        vectors = embedder.embed(TEXTS)
        assert vectors.shape == (len(TEXTS), embedder.dimension)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.dimension)

    def test_order_is_kept_whatever_the_lengths_and_batches(self, embedder: Embedder) -> None:
        texts = [f"text {i} " + "more words " * (i % 7) for i in range(embedder.batch_size + 5)]
        together = embedder.embed(texts)
        for i in (0, 3, len(texts) - 1):
            np.testing.assert_allclose(together[i], embedder.embed([texts[i]])[0], atol=1e-4)

    def test_is_deterministic(self, embedder: Embedder) -> None:
        np.testing.assert_allclose(embedder.embed(TEXTS), embedder.embed(TEXTS), atol=1e-5)

    def test_related_texts_are_nearer_than_unrelated_ones(self, embedder: Embedder) -> None:
        query, near, far = embedder.embed(["When do parcels arrive?", TEXTS[0], "The piano has eighty-eight keys."])
        assert query @ near > query @ far + 0.1

    def test_threads_may_embed_at_the_same_time(self, embedder: Embedder) -> None:
        expected = embedder.embed(TEXTS)
        results: list[np.ndarray] = []
        threads = [threading.Thread(target=lambda: results.append(embedder.embed(TEXTS))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(results) == 4
        for vectors in results:
            np.testing.assert_allclose(vectors, expected, atol=1e-4)


class TestHashing(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashingEmbedder()

    @given(st.text(max_size=200))
    def test_any_text_has_a_unit_vector_that_case_does_not_change(self, text: str) -> None:
        embedder = HashingEmbedder()
        vector = embedder.embed([text])[0]
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)

    def test_is_the_same_in_another_process(self) -> None:
        """Pinned values: Python's own `hash` would change with every start."""
        vector = HashingEmbedder().embed(["delivery"])[0]
        assert np.flatnonzero(vector).tolist() == [236]


@pytest.mark.models
class TestSentenceTransformer(EmbedderContract):
    @pytest.fixture
    def embedder(self, minilm: Embedder) -> Embedder:
        return minilm

    def test_says_its_dimension_before_the_weights_are_read(self, models_dir: Path) -> None:
        embedder = SentenceTransformerEmbedder(models_dir / "all-MiniLM-L6-v2", "mini")
        assert (embedder.dimension, embedder.name) == (384, "mini")

    def test_knows_a_paraphrase_without_common_words(self, embedder: Embedder) -> None:
        vectors = embedder.embed(["How can I get my money back?", "Refunds are issued to the card.", "We open at nine."])
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


class TestLanguages:
    """What an encoder was made for, as its model card says."""

    @pytest.mark.models
    def test_the_default_encoder_knows_english_only(self, minilm: Embedder) -> None:
        assert minilm.languages == {"en"}
        assert minilm.knows(["en"])
        assert not minilm.knows(["en", "de"])
        assert RememberingEmbedder(minilm).languages == {"en"}

    def test_one_that_says_nothing_is_not_trusted(self) -> None:
        assert not HashingEmbedder().knows(["en"])

    @pytest.mark.parametrize(
        ("card", "known"),
        [
            ("---\nlanguage: en\nlicense: mit\n---\n# Card", {"en"}),
            ("---\nlicense: mit\nlanguage:\n- de\n- fr\ntags:\n- x\n---\n", {"de", "fr"}),
            ("---\nlanguage: [de, 'EN']\n---\n", {"de", "en"}),
            ("---\nlanguage:\n  - multilingual\n---\n", {"multilingual"}),
            ("# Card\nlanguage: en\n", set()),
            ("---\ntags: x\n---\nlanguage: en\n", set()),
            ("---\nlanguage: ", set()),
            ("", set()),
        ],
    )
    def test_a_model_card(self, card: str, known: set[str], tmp_path: Path) -> None:
        folder = tmp_path / "encoder"
        folder.mkdir()
        (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer"}]))
        (folder / "config.json").write_text('{"hidden_size": 8}')
        (folder / "model.safetensors").write_bytes(b"")
        (folder / "README.md").write_text(card)
        embedder = create_embedder("encoder", tmp_path)
        assert embedder.languages == known
        assert embedder.knows(["de", "sw"]) is (known == {"multilingual"})


class TestHostileFolders:
    """Model folders are uploads like any other."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "encoder"
        folder.mkdir()
        (folder / "config.json").write_text('{"hidden_size": 8}')
        (folder / "modules.json").write_text('[{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]')
        (folder / "model.safetensors").write_bytes(b"\x00" * 64)
        return folder

    def test_own_code_is_never_imported(self, folder: Path) -> None:
        (folder / "evil.py").write_text("raise SystemExit(99)")
        (folder / "modules.json").write_text(json.dumps([{"idx": 0, "path": "", "type": "evil.Transformer"}]))
        with pytest.raises(ModelFileError, match=r"evil\.Transformer"):
            create_embedder("encoder", folder.parent)

    def test_pickled_weights_are_refused(self, folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        with pytest.raises(ModelFileError, match="safetensors"):
            create_embedder("encoder", folder.parent)

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", '[{"type": "os.system"}]'])
    def test_bad_modules_file_is_refused(self, folder: Path, content: str) -> None:
        (folder / "modules.json").write_text(content)
        with pytest.raises(ModelFileError):
            create_embedder("encoder", folder.parent)

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"hidden_size": "8"}', '{"hidden_size": -1}'])
    def test_bad_config_is_refused(self, folder: Path, content: str) -> None:
        (folder / "config.json").write_text(content)
        with pytest.raises(ModelFileError):
            create_embedder("encoder", folder.parent)

    @pytest.mark.models
    def test_truncated_weights_give_one_clear_error(self, models_dir: Path, tmp_path: Path) -> None:
        folder = tmp_path / "cut"
        shutil.copytree(models_dir / "all-MiniLM-L6-v2", folder)
        whole = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelFileError, match="could not be loaded"):
            create_embedder("cut", tmp_path).embed(["text"])

    def test_missing_encoder_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError) as caught:
            create_embedder("absent", tmp_path)
        assert caught.value.hint is not None
        assert "make setup" in caught.value.hint

    @pytest.mark.parametrize("name", ["../encoder", "a/b", "", ".", "..", "/etc"])
    def test_names_cannot_leave_the_models_folder(self, folder: Path, name: str) -> None:
        with pytest.raises(InputError):
            create_embedder(name, folder)
