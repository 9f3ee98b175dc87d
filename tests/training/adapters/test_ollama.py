"""The Modelfile beside an export, and the card as a page."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.training.adapters.model_card import card_markdown, licence_of
from engine.training.adapters.ollama import FAMILIES, modelfile, prompting_of

TEMPLATES = {
    "ChatML": (
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{{ '<|im_start|>assistant\n' }}"
    ),
    "Llama 3": (
        "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] + '<|eot_id|>' }}"
        "{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
    ),
    "Gemma": (
        "{% for m in messages %}{{ '<start_of_turn>' + m['role'] + '\n' + m['content'] + '<end_of_turn>\n' }}{% endfor %}"
        "{{ '<start_of_turn>model\n' }}"
    ),
    "Phi-3": (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}{{ '<|assistant|>\n' }}"
    ),
    "Mistral": "{% for m in messages %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% endfor %}",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_family_is_known_by_the_prompts_that_its_template_writes(
    name: str, write_tiny: Callable[..., None], tmp_path: Path
) -> None:
    write_tiny(tmp_path / "tiny.gguf", template=TEMPLATES[name])
    found = prompting_of(tmp_path / "tiny.gguf")
    assert found is not None
    assert found.family.name == name
    assert found.system == ("Be kind." if name == "ChatML" else "")
    text = modelfile(tmp_path / "tiny.gguf", weights="tiny.gguf", adapter="taught.gguf")
    assert text.startswith("FROM ./tiny.gguf\nADAPTER ./taught.gguf\n")
    assert f'TEMPLATE """{found.family.template}"""' in text
    assert all(f'PARAMETER stop "{stop}"' in text for stop in found.family.stop)
    assert ('SYSTEM """Be kind."""' in text) is (name == "ChatML")


@pytest.mark.parametrize("template", ["{{ messages[0]['content'] }}: ", "{{ raise_exception('no') }}"])
def test_other_prompts_are_left_to_ollama(template: str, write_tiny: Callable[..., None], tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.gguf", template=template)
    text = modelfile(tmp_path / "tiny.gguf", weights="tiny.gguf")
    assert text.startswith("FROM ./tiny.gguf\n#")
    assert "TEMPLATE" not in text


def test_templates_open_and_close_alike() -> None:
    for family in FAMILIES:
        opened = family.template.count("{{- if") + family.template.count("{{ if") + family.template.count("{{- range")
        assert family.template.count("{{ end }}") == opened


def test_a_base_without_a_licence_is_said_to_have_none(tiny_gguf: Path) -> None:
    licence = licence_of(tiny_gguf)
    assert licence["name"] == "unknown"
    assert "does not say its licence" in card_markdown("shop", {"licence": licence})


def test_a_card_is_plain_text_whatever_its_values_say() -> None:
    hostile = "![x](http://evil.example/x.png) <img src=x>\n# Heading | cell"
    card = {"base": {"file": hostile}, "curve": [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.25, "eval_loss": 0.5}]}
    page = card_markdown(hostile, card, [{"date": "2026-11-23", "exact_match": 0.9}])
    assert "![" not in page
    assert "<img" not in page
    assert "\n# Heading" not in page
    assert "| 2 | 0.25 | 0.5 |" in page
    assert "| 2026-11-23 | 0.9 |" in page
