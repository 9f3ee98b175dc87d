"""What goes wrong beside the local runtime, or is asked of it by mistake, ends nothing but the request that it belongs to."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from engine.config import Settings
from engine.domain import FinishReason, Message
from engine.errors import InputError
from engine.llm.base import Choice, GenerationParams, Regex
from engine.llm.llamacpp import LlamaCppModel
from engine.llm.llamacpp.grammar import GrammarCompiler
from engine.llm.llamacpp.prefix_store import PrefixFolder, PrefixStore
from engine.llm.llamacpp.sampling import GreedySampler, Logits
from engine.llm.llamacpp.tokens import Token, Vocabulary
from engine.wiring import Wiring

pytestmark = pytest.mark.models

HELLO = (Message("user", "Hello"),)
YES = GenerationParams(max_tokens=4, constraint=Choice(("yes",)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_p": math.nan},
        {"min_p": math.nan},
        {"repeat_penalty": math.inf},
        {"frequency_penalty": math.nan},
        {"presence_penalty": -math.inf},
        {"timeout_s": math.nan},
    ],
    ids=str,
)
def test_a_number_that_is_none_is_refused(runtime: LlamaCppModel, wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        runtime.complete(HELLO, replace(YES, timeout_s=wrong.pop("timeout_s", 5.0), **wrong))


class Stubborn(GreedySampler):
    """Chooses the same token whatever its score is, as a chain does whose probabilities are no numbers."""

    chosen = 0

    def choose(self, logits: Logits) -> Token:
        self.chosen += 1
        assert self.chosen < 1000
        return 42


def test_a_sampler_that_chooses_what_is_forbidden_is_overruled(chat_gguf: Path) -> None:
    import numpy as np

    vocabulary = Vocabulary(chat_gguf)
    grammar = GrammarCompiler(vocabulary).compile(Regex("yes|no"))
    logits = np.zeros(vocabulary.size, dtype=np.float32)
    (no,) = vocabulary.tokenise("no")
    logits[no] = 1.0
    assert grammar.choose(logits, Stubborn()) == no
    vocabulary.close()


@pytest.mark.parametrize("most", range(1, 9))
def test_words_that_are_forced_keep_to_the_limit(runtime: LlamaCppModel, most: int) -> None:
    params = GenerationParams(max_tokens=most, constraint=Regex("Hello there my dear friend[a-z]{30}"))
    answer = runtime.complete(HELLO, params)
    assert answer.usage.completion_tokens == most
    assert answer.finish_reason is FinishReason.LENGTH


def test_weights_that_vanish_once_loaded_go_on_answering(chat_gguf: Path, adapter: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.symlink_to(chat_gguf)
    model = LlamaCppModel(
        chat_gguf, context_tokens=512, weights=lambda _stop: copy, prefixes=PrefixFolder(tmp_path / "prefixes", 1 << 28)
    )
    assert model.complete(HELLO, YES).text == "yes"
    copy.unlink()
    assert model.complete(HELLO, replace(YES, adapter=adapter)).text == "yes"
    model.close()


def test_a_file_of_nothing_but_brackets_is_no_stored_beginning(tmp_path: Path) -> None:
    (tmp_path / "deep.prefix").write_bytes(b"[" * 4000 + b"\n")
    assert PrefixStore(tmp_path, origin="model", limit_bytes=1 << 20).best_for([1, 2, 3]) is None


def test_a_local_model_is_one_however_its_name_is_written(tmp_path: Path) -> None:
    with Wiring(Settings(home=tmp_path)) as wiring:
        assert wiring.model("local/" + wiring.settings.default_model) is wiring.model()


def test_a_parked_conversation_that_is_forgotten_to_make_room_for_itself_is_computed_again(
    chat_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going on with it takes the whole cache, so that another is parked, for which there is no more memory beside it."""
    monkeypatch.setattr("engine.llm.llamacpp.places.CELLS_KEPT", 150)
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=2, parked_bytes=3 << 20)  # 130 tokens
    first, second = ((Message("system", word * 70), Message("user", "Hi")) for word in ("tea ", "sea "))
    for conversation in (first, second):
        model.complete(conversation, GenerationParams(max_tokens=2))
    whole = 512 - len(model.chat_prompt_tokens(first))
    assert model.complete(first, replace(YES, max_tokens=whole)).text == "yes"
    model.close()
