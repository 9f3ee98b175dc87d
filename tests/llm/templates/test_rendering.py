"""Templates from hostile files: bounded in time and memory, and nothing else suffers."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from engine.config import PROJECT_ROOT
from engine.errors import ModelError
from engine.llm.llamacpp.prompting.rendering import MAX_TEMPLATE_CHARS, TemplateRefusedError, TemplateRenderer

GROWING = "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"
NESTED = (
    "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
    "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}"
)


@pytest.fixture(scope="module")
def rendering() -> Iterator[TemplateRenderer]:
    """A process that may use less processor time than the product's."""
    renderer = TemplateRenderer(processor_s=0.3)
    yield renderer
    renderer.close()


@pytest.mark.parametrize(
    "hostile",
    [
        "{{ 'a' * 10**10 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'a'|center(10**11) }}",
        "{{ 9**(9**9) }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{{ messages[0].content }}{% endfor %}",
        GROWING,
        NESTED,
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{{ " + "(" * 50_000 + " }}",
        "{{ " + "not " * 50_000 + "1 }}",
        "{% if 1 %}" * 10_000,
        "{{ lipsum(n=10**6) }}",
        "{{ '{0.__class__.__mro__}'.format(1).x }}",
        "{% include '/etc/passwd' %}",
        "x" * (MAX_TEMPLATE_CHARS + 1),
    ],
    ids=lambda source: source[:30],
)
def test_a_hostile_template_ends_soon_with_an_error(rendering: TemplateRenderer, hostile: str) -> None:
    with pytest.raises(ModelError, match="template"):
        rendering.render(hostile, {"messages": [{"role": "user", "content": "Hello, world. " * 10}]}, 140)
    assert rendering.render("{{ x }}", {"x": "still there"}, 0) == "still there"


def test_what_takes_too_long_is_told_from_what_is_refused(rendering: TemplateRenderer) -> None:
    with pytest.raises(TemplateRefusedError, match="take turns"):
        rendering.render("{{ raise_exception('take turns') }}", {}, 0)
    with pytest.raises(ModelError, match="too much time or memory") as caught:
        rendering.render(NESTED, {}, 0)
    assert not isinstance(caught.value, TemplateRefusedError)
    assert caught.value.hint


def test_a_process_that_was_killed_is_replaced(rendering: TemplateRenderer) -> None:
    before = {child.pid for child in psutil.Process().children()}
    other = TemplateRenderer()
    assert other.render("{{ x }}", {"x": "é\n\u2028\ud800"}, 0) == "é\n\u2028\ud800"
    (process,) = [child for child in psutil.Process().children() if child.pid not in before]
    process.kill()
    psutil.wait_procs([process], timeout=10)
    assert other.render("{{ x }}", {"x": "again"}, 0) == "again"
    other.close()
    assert {child.pid for child in psutil.Process().children()} <= before


def test_many_threads_get_their_own_answers(rendering: TemplateRenderer) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda n: rendering.render("{{ x }}", {"x": str(n)}, 0), range(40))
    assert list(texts) == [str(n) for n in range(40)]


def test_the_process_ends_with_the_program() -> None:
    code = (
        "import psutil, os\nfrom engine.llm.llamacpp.prompting.rendering import renderer\nrenderer.render('x', {}, 0)\n"
        "print(psutil.Process().children()[0].pid, flush=True)\nos._exit(1)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(ended.stdout)).wait(20)
