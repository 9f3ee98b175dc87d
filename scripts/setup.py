"""Set AI Nexus up: the virtual environment, the dependencies, the default models.

Runs under the system's Python with nothing installed. Each step leaves a stamp in `.venv` with a hash of what it depends
on, so that an interrupted set-up goes on where it was and a complete one ends at once. pip takes its settings (index,
proxy, certificates) from your own pip configuration.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / ".setup"
CONSTRAINTS = ROOT / "constraints.txt"
PYTHON = VENV / "bin" / "python"

OLDEST_PYTHON = (3, 11)
DISK_GB = 6
"""Free space that a first set-up wants: about 3 GB stay, the rest is for downloads and the build of llama.cpp."""
HEARTBEAT_S = 30

UNSLOTH = VENV / "unsloth"
"""Unsloth's own folder: on the path of the process that trains with it, and of no other (`strategies.unsloth_trainer`).

In the environment itself it would slow all others down: PEFT imports bitsandbytes wherever it finds it, which takes 1.3 s.
"""


class SetupError(Exception):
    """A step cannot be done; the message says what to do about it."""


@dataclass(frozen=True)
class Step:
    """Something to do once, and again when its inputs change."""

    name: str
    note: str
    inputs: str
    action: Callable[[], None]

    @property
    def stamp(self) -> Path:
        """The file that says with which inputs this step was done."""
        return STAMPS / self.name

    @property
    def digest(self) -> str:
        """A hash of the inputs."""
        return hashlib.sha256(f"{sys.version_info[:2]} {self.inputs}".encode()).hexdigest()

    @property
    def done(self) -> bool:
        """Whether the step was done with these inputs."""
        return self.stamp.is_file() and self.stamp.read_text() == self.digest


def main(arguments: Sequence[str] = ()) -> int:
    """Do what is missing. Returns the exit code."""
    options = parse(arguments)
    # One set-up at a time: `make app` and `make test` may be started together.
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            set_up(options.cuda or has_cuda(), development=not options.no_dev)
        except SetupError as exc:
            print(f"\nSet-up stopped: {exc}\nRun `make setup` again to go on from here.", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nInterrupted. Run `make setup` again to go on from here.", file=sys.stderr)
            return 130
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of the command line; ends the program where they make no sense."""
    parser = argparse.ArgumentParser(description="Set AI Nexus up in .venv, with the default models in models/.")
    parser.add_argument("--cuda", action="store_true", help="for an NVIDIA GPU, although none is seen: for container images")
    parser.add_argument("--no-dev", action="store_true", help="leave out what only `make test` and `make lint` need")
    return parser.parse_args(arguments)


def set_up(cuda: bool, *, development: bool) -> None:
    """Run all steps that are due; `cuda`: for an NVIDIA GPU, `development`: with what tests and checks need.

    Raises:
        SetupError: one cannot be done.
    """
    check_python()
    begun = time.monotonic()
    ensure_venv()
    due = [step for step in steps(cuda, development=development) if not step.done]
    if due:
        check_machine()
        print(f"Setting up in {VENV}" + (" with CUDA" if cuda else "") + f"; the log is {log_file()}")
    for step in due:
        print(f"→ {step.name}: {step.note}", flush=True)
        started = time.monotonic()
        step.action()
        STAMPS.mkdir(exist_ok=True)
        step.stamp.write_text(step.digest)
        print(f"  done in {time.monotonic() - started:.0f} s", flush=True)
    install_models()
    if due:
        print(f"Set up in {time.monotonic() - begun:.0f} s.")


def steps(cuda: bool, *, development: bool = True) -> list[Step]:
    """All steps, in order."""
    torch, llama = pinned("torch"), pinned("llama_cpp_python")
    unsloth = [pinned(name) for name in (*extra("unsloth"), *(extra("cuda") if cuda else ()))]
    itself = f"{ROOT}[dev]" if development else str(ROOT)
    project = (ROOT / "pyproject.toml").read_text() + CONSTRAINTS.read_text() + itself
    return [
        # First and alone, so that no other package brings a PyTorch of its own choice.
        Step("torch", f"{torch} (200 MB, or 3 GB with CUDA)", torch, lambda: pip("install", torch)),
        Step("llama.cpp", f"{llama}, built from source (about 6 minutes on two cores)", f"{llama} {cuda}", build_llama(cuda)),
        Step("packages", "everything else", project, lambda: pip("install", *constrained(), "--editable", itself)),
        Step("unsloth", "Unsloth, apart from the others (75 MB)", " ".join(unsloth), lambda: install_unsloth(unsloth)),
    ]


def build_llama(cuda: bool) -> Callable[[], None]:
    """The action that builds llama.cpp."""
    package = pinned("llama_cpp_python")

    def build() -> None:
        if cuda:
            os.environ.setdefault("CMAKE_ARGS", "-DGGML_CUDA=on")
            # pip would take a wheel that it built earlier without CUDA.
            pip("install", *constrained(), "--no-cache-dir", "--force-reinstall", "--no-deps", package)
        pip("install", *constrained(), package)

    return build


def install_unsloth(packages: Sequence[str]) -> None:
    """Install Unsloth into its folder.

    Without dependencies: what it needs of them is in the environment already, and what it asks for besides is another PyTorch,
    300 MB for pictures and kernels that are not used here, and a newer `certifi`, for downloads that are never made.
    """
    shutil.rmtree(UNSLOTH, ignore_errors=True)
    pip("install", "--no-deps", "--target", str(UNSLOTH), *packages)


def install_models() -> None:
    """Put the default models into models/; quick when they are there."""
    run([str(PYTHON), str(ROOT / "scripts" / "fetch_models.py")], "the default models could not be installed")


def check_python() -> None:
    """Refuse a Python that is too old.

    Raises:
        SetupError: it is.
    """
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"Python 3.11 or newer is needed, this is {found}. Name another one: make setup PYTHON=python3.12")


def check_machine() -> None:
    """Refuse a machine without a compiler or without room.

    Raises:
        SetupError: something is missing.
    """
    missing = [
        name
        for name, found in (("C", c_compiler("cc", "gcc", "clang")), ("C++", c_compiler("c++", "g++", "clang++")))
        if not found
    ]
    if missing:
        raise SetupError(f"no {' and no '.join(missing)} compiler was found. On Debian: sudo apt install build-essential")
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < DISK_GB and not (STAMPS / "packages").exists():
        raise SetupError(f"{free:.1f} GB are free at {ROOT}; the set-up wants {DISK_GB} GB.")


def c_compiler(*names: str) -> bool:
    """Whether one of these programs can be started."""
    return any(shutil.which(name) for name in names)


def has_cuda() -> bool:
    """Whether there are an NVIDIA GPU that answers and a CUDA compiler."""
    if shutil.which("nvcc") is None or shutil.which("nvidia-smi") is None:
        return False
    answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and "GPU" in answer.stdout


def ensure_venv() -> None:
    """Make the virtual environment, or make it anew when its Python is gone.

    Raises:
        SetupError: the venv module does not work.
    """
    if (
        PYTHON.exists()
        and subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
    ):
        return
    print(f"→ environment: {VENV}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise SetupError(f"{(made.stdout + made.stderr).strip()}\nOn Debian: sudo apt install python3-venv")


def pinned(package: str) -> str:
    """The line of the constraints file for a package, such as `torch==2.13.0`.

    Raises:
        SetupError: there is none.
    """
    for line in CONSTRAINTS.read_text().splitlines():
        if line.lower().replace("-", "_").startswith(f"{package}=="):
            return line.strip()
    raise SetupError(f"{CONSTRAINTS.name} does not name {package}")


def extra(name: str) -> list[str]:
    """The packages of one of the project's extras."""
    import tomllib  # not in Pythons that `check_python` refuses

    packages: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][name]
    return packages


def constrained() -> tuple[str, ...]:
    """pip's arguments that hold all versions."""
    return ("--constraint", str(CONSTRAINTS))


def pip(*arguments: str) -> None:
    """Run the environment's pip.

    Raises:
        SetupError: it failed.
    """
    run([str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments], "pip failed")


def run(command: list[str], problem: str) -> None:
    """Run a program with its output in the log, saying now and then that it goes on.

    Raises:
        SetupError: it failed; the last lines of the log are printed.
    """
    started = time.monotonic()
    with log_file().open("a") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(HEARTBEAT_S)
                break
            except subprocess.TimeoutExpired:
                print(f"  … {time.monotonic() - started:.0f} s", flush=True)
            except KeyboardInterrupt:
                process.terminate()
                process.wait()
                raise
    if code != 0:
        tail = "\n".join(log_file().read_text(errors="replace").splitlines()[-25:])
        raise SetupError(f"{problem} (exit code {code}). The end of {log_file()}:\n{tail}")


def log_file() -> Path:
    """Where the output of pip goes."""
    return VENV / "setup.log"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
