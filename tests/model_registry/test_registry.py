"""The models folder: listing, finding, adding, removing and pulling, with good and bad files."""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.config import Settings
from engine.container import Engine
from engine.errors import (
    ConflictError,
    InputError,
    ModelFileError,
    NotFoundError,
    OfflineError,
    StorageError,
)
from engine.llm.llamacpp.model_files.known_files import RECORD, KnownFiles
from engine.llm.llamacpp.model_files.model_check import check_model_file
from engine.model_registry.file_hashes import FileHashes
from engine.model_registry.hub import HubFile
from engine.model_registry.registry import ModelRegistry

WriteGguf = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def registry(folder: Path) -> ModelRegistry:
    return ModelRegistry(folder)


def write_encoder(folder: Path, *, licence: str = "mit") -> Path:
    header = json.dumps({"w": {"dtype": "F16", "shape": [4, 6], "data_offsets": [0, 48]}}).encode()
    files = {
        "config.json": json.dumps({"model_type": "bert", "max_position_embeddings": 512}).encode(),
        "modules.json": b"[]",
        "tokenizer.json": b"{}",
        "1_Pooling/config.json": b"{}",
        "README.md": f"---\nlicense: {licence}\n---\n".encode(),
        "model.safetensors": struct.pack("<Q", len(header)) + header + bytes(48),
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


class TestList:
    def test_a_missing_folder_is_empty(self, registry: ModelRegistry) -> None:
        assert registry.list() == []

    def test_a_chat_model_is_described_by_its_metadata(
        self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf
    ) -> None:
        path = write_gguf(folder=folder)
        (model,) = registry.list()
        assert (model.name, model.kind, model.path) == ("tiny", "chat", path)
        assert (model.architecture, model.family, model.quantisation) == ("llama", "Llama", "Q4_1")
        assert (model.context_length, model.parameters, model.chat_template) == (2048, 128, True)
        assert (model.licence, model.size) == ("mit", path.stat().st_size)

    def test_an_encoder_is_described_by_its_files(self, registry: ModelRegistry, folder: Path) -> None:
        write_encoder(folder / "small-encoder", licence="apache-2.0")
        (model,) = registry.list()
        assert (model.name, model.kind, model.architecture) == ("small-encoder", "encoder", "bert")
        assert (model.parameters, model.quantisation, model.context_length) == (24, "F16", 512)
        assert model.licence == "apache-2.0"

    @pytest.mark.parametrize(
        ("overrides", "family"),
        [
            ({"general__name": "Mistral 7B Instruct v0.3"}, "Mistral"),
            ({"general__architecture": "gemma3"}, "Gemma"),
            ({"general__architecture": "phi3"}, "Phi"),
            ({"general__architecture": "qwen3moe"}, "Qwen"),
            ({"general__basename": "DeepSeek-R1-Distill"}, "DeepSeek"),
            ({"general__architecture": "brandnew"}, "brandnew"),
        ],
    )
    def test_families(
        self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf, overrides: dict[str, str], family: str
    ) -> None:
        write_gguf(folder=folder, **overrides)
        assert registry.list()[0].family == family

    def test_adapters_encoders_in_gguf_and_later_parts_are_left_out(
        self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf
    ) -> None:
        write_gguf("lora.gguf", folder, general__type="adapter")
        write_gguf("embed.gguf", folder, general__architecture="nomic-bert")
        write_gguf("part2.gguf", folder, split__no=1)
        (folder / "notes.txt").write_text("not a model")
        (folder / ".incoming-abc").write_bytes(b"GGUF")
        assert registry.list() == []
        assert registry.damaged() == []

    def test_a_damaged_file_does_not_hide_the_others(
        self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf
    ) -> None:
        write_gguf("good.gguf", folder)
        (folder / "bad.gguf").write_bytes(b"GGUF nonsense and more of it")
        assert [model.name for model in registry.list()] == ["good"]
        assert [found.path.name for found in registry.damaged()] == ["bad.gguf"]
        with pytest.raises(ModelFileError):
            registry.info("bad")

    def test_a_changed_file_is_read_again(self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf) -> None:
        write_gguf(folder=folder)
        assert registry.list()[0].licence == "mit"
        write_gguf(folder=folder, general__license="apache-2.0")
        assert registry.list()[0].licence == "apache-2.0"

    @pytest.mark.models
    def test_the_default_models(self, models_dir: Path) -> None:
        chat, encoder = (ModelRegistry(models_dir).info(name) for name in ("SmolLM2-135M-Instruct.Q4_1", "all-MiniLM-L6-v2"))
        assert (chat.family, chat.quantisation, chat.context_length, chat.parameters) == ("Llama", "Q4_1", 8192, 134_515_008)
        assert (encoder.kind, encoder.parameters, encoder.context_length) == ("encoder", 22_713_728, 256)
        assert chat.licence == encoder.licence == "apache-2.0"


class TestFind:
    @pytest.mark.parametrize("name", ["tiny", "tiny.gguf", "TINY", "Tiny.GGUF"])
    def test_names_are_found_with_or_without_ending_in_any_case(
        self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf, name: str
    ) -> None:
        path = write_gguf(folder=folder)
        assert registry.path(name) == path

    def test_the_hint_names_similar_models(self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf) -> None:
        write_gguf("Mistral-7B.Q4_K_M.gguf", folder)
        with pytest.raises(NotFoundError) as caught:
            registry.info("mistral-7b")
        assert "Mistral-7B.Q4_K_M" in (caught.value.hint or "")

    @pytest.mark.parametrize("name", ["../secret", "../secret.gguf", "/etc/passwd", "", ".", "a/../../secret"])
    def test_names_do_not_leave_the_folder(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf, name: str
    ) -> None:
        folder.mkdir()
        write_gguf("secret.gguf", tmp_path)
        with pytest.raises(NotFoundError):
            registry.path(name)

    def test_the_hash_is_computed_once_and_noticed_to_be_old(self, tmp_path: Path, folder: Path, write_gguf: WriteGguf) -> None:
        store = tmp_path / "cache" / "hashes.json"
        registry = ModelRegistry(folder, hashes=FileHashes(store))
        path = write_gguf(folder=folder)
        assert registry.info("tiny").sha256 is None
        assert registry.sha256("tiny") == hashlib.sha256(path.read_bytes()).hexdigest()
        again = ModelRegistry(folder, hashes=FileHashes(store))
        assert again.info("tiny").sha256 == registry.sha256("tiny")
        write_gguf(folder=folder, general__license="other")
        assert registry.info("tiny").sha256 is None

    @pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"PATH": 1}', b'{"PATH": [1, 2]}', b'{"PATH": ["a", 1, 2]}'])
    def test_a_damaged_hash_file_is_passed_over(
        self, tmp_path: Path, folder: Path, write_gguf: WriteGguf, content: bytes
    ) -> None:
        path, store = write_gguf(folder=folder), tmp_path / "hashes.json"
        store.write_bytes(content.replace(b"PATH", str(path).encode()))
        registry = ModelRegistry(folder, hashes=FileHashes(store))
        assert registry.sha256("tiny") == hashlib.sha256(path.read_bytes()).hexdigest()

    def test_a_hash_that_came_with_the_models_is_not_believed(self, folder: Path, write_gguf: WriteGguf) -> None:
        path = write_gguf(folder=folder)
        status = path.stat()
        lie = {"tiny.gguf": [status.st_size, status.st_mtime_ns, "0" * 64]}
        (folder / ".hashes.json").write_text(json.dumps(lie))
        assert ModelRegistry(folder).info("tiny").sha256 is None

    def test_what_the_registry_has_hashed_the_runtime_need_not_read(self, tmp_path: Path, chat_gguf: Path) -> None:
        settings = Settings(home=tmp_path / "home", models_dir=chat_gguf.parent)
        with Engine(settings) as engine:
            digest = engine.registry.sha256(chat_gguf.stem)
            assert KnownFiles(settings.cache_dir / RECORD).recall(chat_gguf) == digest


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".*")] if folder.exists() else []


class TestAdd:
    def test_a_file_is_copied(self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf) -> None:
        source = write_gguf("My.Model-Q4.gguf", tmp_path / "downloads")
        model = registry.add(source)
        assert model.path == folder / "My.Model-Q4.gguf"
        assert model.path.read_bytes() == source.read_bytes()
        assert leftovers(folder) == []

    def test_an_encoder_folder_is_copied_without_pickled_weights(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path
    ) -> None:
        source = write_encoder(tmp_path / "enc")
        (source / "pytorch_model.bin").write_bytes(b"pickle")
        registry.add(source)
        assert (folder / "enc" / "1_Pooling" / "config.json").is_file()
        assert not (folder / "enc" / "pytorch_model.bin").exists()

    def test_a_taken_name_is_refused_and_the_old_file_stays(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf
    ) -> None:
        old = write_gguf("tiny.gguf", folder).read_bytes()
        with pytest.raises(ConflictError):
            registry.add(write_gguf("TINY.gguf", tmp_path / "other", general__license="new"))
        assert (folder / "tiny.gguf").read_bytes() == old
        assert leftovers(folder) == []

    @pytest.mark.parametrize("content", [b"", b"not a model", b"GGUF\x03\0\0\0", b"\x80\x04pickle"])
    def test_what_is_no_model_is_refused_and_nothing_is_left(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, content: bytes
    ) -> None:
        source = tmp_path / "model.gguf"
        source.write_bytes(content)
        with pytest.raises(ModelFileError) as caught:
            registry.add(source)
        assert caught.value.hint
        assert not folder.exists()

    def test_an_adapter_is_refused_by_name(self, registry: ModelRegistry, tmp_path: Path, write_gguf: WriteGguf) -> None:
        with pytest.raises(ModelFileError, match="LoRA adapter"):
            registry.add(write_gguf("lora.gguf", tmp_path, general__type="adapter"))

    def test_a_missing_path_is_not_found(self, registry: ModelRegistry, tmp_path: Path) -> None:
        with pytest.raises(NotFoundError):
            registry.add(tmp_path / "none.gguf")

    def test_an_odd_name_is_refused(self, registry: ModelRegistry, tmp_path: Path, write_gguf: WriteGguf) -> None:
        with pytest.raises(InputError, match="cannot be the name"):
            registry.add(write_gguf("-rf $(x).gguf", tmp_path))

    def test_too_little_space_is_a_clear_error(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=1, used=1, free=10))
        with pytest.raises(StorageError, match="Not enough space") as caught:
            registry.add(write_gguf("tiny.gguf", tmp_path))
        assert "NEXUS_MODELS_DIR" in (caught.value.hint or "")
        assert list(folder.iterdir()) == []

    def test_a_models_folder_that_is_a_file_is_a_clear_error(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf
    ) -> None:
        folder.write_text("in the way")
        with pytest.raises(StorageError):
            registry.add(write_gguf("tiny.gguf", tmp_path))


class TestLeftovers:
    """Of processes that were killed while they copied or downloaded."""

    @pytest.fixture
    def left(self, folder: Path) -> Path:
        """A file and a folder from long ago, a file from now, and a folder that is still downloaded into."""
        for name in ("old/a.gguf", "busy/.cache/a.gguf"):
            (folder / f".incoming-{name}").parent.mkdir(parents=True)
            (folder / f".incoming-{name}").write_bytes(b"GGUF")
        for name in ("file", "now"):
            (folder / f".incoming-{name}").write_bytes(b"GGUF")
        for name in ("old/a.gguf", "old", "file", "busy/.cache", "busy"):
            os.utime(folder / f".incoming-{name}", (0, 0))
        return folder

    def test_adding_removes_what_nobody_works_on(
        self, registry: ModelRegistry, left: Path, tmp_path: Path, write_gguf: WriteGguf
    ) -> None:
        registry.add(write_gguf("tiny.gguf", tmp_path))
        assert sorted(leftovers(left)) == [".incoming-busy", ".incoming-now"]

    def test_so_does_pulling(self, left: Path, tmp_path: Path, write_gguf: WriteGguf) -> None:
        write_gguf("tiny.gguf", tmp_path / "hub" / "owner" / "name")
        ModelRegistry(left, FolderHub(tmp_path / "hub")).pull("owner/name", offline=False)
        assert sorted(leftovers(left)) == [".incoming-busy", ".incoming-now"]

    def test_what_a_link_points_to_stays(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf
    ) -> None:
        precious = write_encoder(tmp_path / "precious")
        folder.mkdir()
        (folder / ".incoming-link").symlink_to(precious)
        os.utime(folder / ".incoming-link", (0, 0), follow_symlinks=False)
        registry.add(write_gguf("tiny.gguf", tmp_path))
        assert leftovers(folder) == []
        assert (precious / "model.safetensors").is_file()


class TestCheck:
    """What may not be given to llama.cpp does not get into the folder."""

    @pytest.fixture
    def registry(self, folder: Path) -> ModelRegistry:
        return ModelRegistry(folder, check=check_model_file)

    def test_a_sound_model_is_added(self, registry: ModelRegistry, chat_gguf: Path) -> None:
        assert registry.add(chat_gguf).name == chat_gguf.stem

    @pytest.mark.parametrize("overrides", [{}, {"llama__block_count": 100_000}, {"general__architecture": "brandnew"}])
    def test_a_file_that_would_end_the_process_is_refused_before_it_is_copied(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf, overrides: dict[str, object]
    ) -> None:
        source = write_gguf("bad.gguf", tmp_path, **overrides)
        ModelRegistry(tmp_path / "trusting").add(source)
        with pytest.raises(ModelFileError) as caught:
            registry.add(source)
        assert caught.value.hint
        assert not folder.exists()

    def test_nothing_of_it_stays_that_was_downloaded(self, folder: Path, write_gguf: WriteGguf, tmp_path: Path) -> None:
        write_gguf("bad.gguf", tmp_path / "hub" / "owner" / "name")
        with pytest.raises(ModelFileError):
            ModelRegistry(folder, FolderHub(tmp_path / "hub"), check=check_model_file).pull("owner/name", offline=False)
        assert list(folder.iterdir()) == []

    def test_a_model_in_parts_is_not_copied_in_part(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf
    ) -> None:
        with pytest.raises(ModelFileError, match="2 parts") as caught:
            registry.add(write_gguf("big-00001-of-00002.gguf", tmp_path, split__count=2))
        assert str(folder) in (caught.value.hint or "")


class TestRemove:
    def test_files_folders_and_damaged_files_can_be_removed(
        self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf
    ) -> None:
        write_gguf("tiny.gguf", folder)
        write_encoder(folder / "enc")
        (folder / "bad.gguf").write_bytes(b"GGUF nonsense and more of it")
        for name in ("Tiny", "enc", "bad.gguf"):
            registry.remove(name)
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("name", ["tiny", "Tiny.GGUF", "enc"])
    def test_a_default_model_is_not_removed(self, folder: Path, write_gguf: WriteGguf, name: str) -> None:
        write_gguf("tiny.gguf", folder)
        write_encoder(folder / "enc")
        before = sorted(folder.rglob("*"))
        with pytest.raises(ConflictError) as refused:
            ModelRegistry(folder, defaults=("tiny", "enc")).remove(name)
        assert refused.value.hint
        assert sorted(folder.rglob("*")) == before

    def test_an_unknown_name_removes_nothing(self, registry: ModelRegistry, folder: Path, write_gguf: WriteGguf) -> None:
        path = write_gguf("tiny.gguf", folder)
        with pytest.raises(NotFoundError):
            registry.remove("../tiny")
        assert path.exists()

    def test_a_link_is_removed_and_its_target_stays(
        self, registry: ModelRegistry, folder: Path, tmp_path: Path, write_gguf: WriteGguf
    ) -> None:
        target = write_gguf("elsewhere.gguf", tmp_path)
        folder.mkdir()
        (folder / "linked.gguf").symlink_to(target)
        registry.remove("linked")
        assert target.exists()


class FolderHub:
    """A hub whose repositories are folders on this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lies = False

    def files(self, repo: str) -> list[HubFile]:
        base = self.root / repo
        if not base.is_dir():
            raise NotFoundError(f"The hub has no {repo}.")
        return [self._entry(base, path) for path in sorted(base.rglob("*")) if path.is_file()]

    def _entry(self, base: Path, path: Path) -> HubFile:
        digest = "0" * 64 if self.lies else hashlib.sha256(path.read_bytes()).hexdigest()
        return HubFile(path.relative_to(base).as_posix(), path.stat().st_size, digest)

    def download(self, repo: str, file: str, folder: Path) -> Path:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.root / repo / file, target)
        return target


class TestPull:
    @pytest.fixture
    def hub(self, tmp_path: Path) -> FolderHub:
        return FolderHub(tmp_path / "hub")

    @pytest.fixture
    def registry(self, folder: Path, hub: FolderHub) -> ModelRegistry:
        return ModelRegistry(folder, hub)

    def test_nothing_is_asked_for_in_offline_mode(self, folder: Path) -> None:
        class Forbidden(FolderHub):
            def files(self, repo: str) -> list[HubFile]:
                raise AssertionError(f"asked for {repo}")

        with pytest.raises(OfflineError) as caught:
            ModelRegistry(folder, Forbidden(folder)).pull("owner/name", "a.gguf", offline=True)
        assert "NEXUS_OFFLINE=false" in (caught.value.hint or "")

    def test_a_name_that_cannot_be_is_refused_before_anything_else(self, registry: ModelRegistry) -> None:
        for repo, file in (("name", None), ("owner/na me", None), ("owner/name", "tiny.bin")):
            with pytest.raises(InputError):
                registry.pull(repo, file, offline=True)

    def test_a_download_is_announced_with_its_size_once_it_begins(
        self, registry: ModelRegistry, hub: FolderHub, write_gguf: WriteGguf
    ) -> None:
        source = write_gguf("tiny.gguf", hub.root / "owner/name")
        announced: list[tuple[str, int]] = []

        def announce(name: str, size: int) -> None:
            announced.append((name, size))

        registry.pull("owner/name", offline=False, announce=announce)
        with pytest.raises(ConflictError):
            registry.pull("owner/name", offline=False, announce=announce)
        assert announced == [("tiny.gguf", source.stat().st_size)]

    def test_a_file_is_pulled(self, registry: ModelRegistry, hub: FolderHub, folder: Path, write_gguf: WriteGguf) -> None:
        source = write_gguf("sub/tiny.gguf", hub.root / "owner/name")
        model = registry.pull("owner/name", "sub/tiny.gguf", offline=False)
        assert model.path == folder / "tiny.gguf"
        assert model.path.read_bytes() == source.read_bytes()
        assert leftovers(folder) == []

    def test_the_only_file_needs_no_name_and_several_do(
        self, registry: ModelRegistry, hub: FolderHub, write_gguf: WriteGguf
    ) -> None:
        write_gguf("tiny.gguf", hub.root / "owner/one")
        assert registry.pull("owner/one", offline=False).name == "tiny"
        write_gguf("q4.gguf", hub.root / "owner/two")
        write_gguf("q8.gguf", hub.root / "owner/two")
        with pytest.raises(InputError) as caught:
            registry.pull("owner/two", offline=False)
        assert "q4.gguf, q8.gguf" in (caught.value.hint or "")

    def test_an_encoder_is_pulled_whole(self, registry: ModelRegistry, hub: FolderHub, folder: Path) -> None:
        source = write_encoder(hub.root / "owner/enc")
        (source / "pytorch_model.bin").write_bytes(b"pickle")
        assert registry.pull("owner/enc", offline=False).kind == "encoder"
        assert (folder / "enc" / "1_Pooling" / "config.json").is_file()
        assert not (folder / "enc" / "pytorch_model.bin").exists()

    def test_a_wrong_hash_leaves_nothing_behind(
        self, registry: ModelRegistry, hub: FolderHub, folder: Path, write_gguf: WriteGguf
    ) -> None:
        write_gguf("tiny.gguf", hub.root / "owner/name")
        hub.lies = True
        with pytest.raises(ModelFileError, match="hash"):
            registry.pull("owner/name", "tiny.gguf", offline=False)
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("repo", "file"), [("name", "a.gguf"), ("../../etc", "a.gguf"), ("owner/name", "model.bin"), ("owner/na me", None)]
    )
    def test_senseless_requests_are_refused(self, registry: ModelRegistry, repo: str, file: str | None) -> None:
        with pytest.raises(InputError):
            registry.pull(repo, file, offline=False)

    def test_a_missing_file_is_not_found_and_the_hint_says_what_is_there(
        self, registry: ModelRegistry, hub: FolderHub, write_gguf: WriteGguf
    ) -> None:
        write_gguf("tiny-Q4.gguf", hub.root / "owner/name")
        with pytest.raises(NotFoundError) as caught:
            registry.pull("owner/name", "tiny-Q8.gguf", offline=False)
        assert "tiny-Q4.gguf" in (caught.value.hint or "")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileError, match="regular file"):
        ModelRegistry(tmp_path / "models").add(tmp_path / "pipe.gguf")
