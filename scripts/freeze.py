"""Write the versions that are installed in this environment to constraints.txt."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
TOOLS = {"ai-nexus", "pip", "setuptools", "wheel"}
UNSLOTH = "# In Unsloth's own folder"
"""Begins the part of the file that is not installed in this environment, and is kept as it is."""
HEADER = """\
# The exact versions that AI Nexus is built and tested with, dependencies of dependencies included.
# Made from a working .venv by `make freeze`; `make setup` installs with it.
"""


def main() -> None:
    """Write the file; the part of a version that names a build (`+cpu`) is left out, as it depends on the machine."""
    found = {canonicalize_name(package.name): Version(package.version).public for package in distributions()}
    path = ROOT / "constraints.txt"
    _, marker, apart = path.read_text().partition(UNSLOTH)
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items()) if name not in TOOLS]
    path.write_text(HEADER + "".join(lines) + (f"\n{marker}{apart}" if marker else ""))
    print(f"{len(lines)} versions in {path}")


if __name__ == "__main__":
    main()
