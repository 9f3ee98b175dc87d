"""Two places catch every error: the job worker and the app's error boundary. All others name what they expect."""

import ast

from engine.config import PROJECT_ROOT

CATCH_ALL = {"Exception", "BaseException"}


def test_only_the_worker_and_the_boundary_catch_everything() -> None:
    found = [
        path.relative_to(PROJECT_ROOT).as_posix()
        for folder in ("app", "engine")
        for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or any(isinstance(part, ast.Name) and part.id in CATCH_ALL for part in ast.walk(node.type)))
    ]
    assert found == ["app/components/boundary.py", "engine/jobs/worker.py"]
