"""The local runtime with the real default model: batching, adapters, prefixes, limits, and the ways it can be made to fail."""

import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.config import PROJECT_ROOT
from engine.domain import FinishReason, Message
from engine.errors import AdapterError, ContextOverflowError, InputError, ModelError, ModelFileError
from engine.llm.base import GenerationParams, Regex, Request
from engine.llm.llamacpp import LlamaCppModel

pytestmark = pytest.mark.models

HELLO = (Message("user", "Tell me about the sea."),)
LONG_BEGINNING = "You answer for a shop that sells kettles, and you know all about water and steam. " * 4


def test_greedy_answers_are_those_of_the_high_level_interface(chat_gguf: Path) -> None:
    from llama_cpp import Llama

    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)
    answer = model.complete(HELLO, GenerationParams(max_tokens=16)).text
    prompt = model.chat_prompt_tokens(HELLO)
    model.close()
    reference = Llama(str(chat_gguf), n_ctx=512, n_threads=2, verbose=False)
    expected = reference.create_completion(prompt, max_tokens=16, temperature=0)["choices"][0]["text"]
    reference.close()
    assert answer == expected


def test_eight_at_a_time_answer_as_one_by_one(runtime: LlamaCppModel) -> None:
    """Each goes on with its own word and no other's.

    Only the clear winner is the same in a batch of another size: llama.cpp then adds up in another order, and nearly equal
    scores may fall either way.
    """
    words = ["cat", "dog", "sun", "red", "car", "sea", "one", "tree"]

    def repeat(word: str) -> str:
        params = GenerationParams(max_tokens=6, prefix=" ".join([word] * 12))
        return runtime.complete([Message("user", f"Repeat: {word}")], params).text

    alone = [repeat(word) for word in words]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(repeat, words))
    assert together == alone
    assert alone == [f" {word}" * 6 for word in words]


def test_more_requests_than_places_all_end(chat_gguf: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=3)
    requests = [Request((Message("user", f"Count from {n}."),), GenerationParams(max_tokens=1 + n % 5)) for n in range(11)]
    answers = dict(model.generate_many(requests))
    model.close()
    assert [answers[n].usage.completion_tokens for n in range(11)] == [1 + n % 5 for n in range(11)]


def test_a_person_goes_before_jobs_that_came_first(chat_gguf: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=1024, max_sequences=2)
    job = Request(HELLO, GenerationParams(max_tokens=24, priority=10))
    person = Request((Message("user", "Hello?"),), GenerationParams(max_tokens=2, priority=0))
    order = [index for index, _ in model.generate_many([job, job, job, person])]
    model.close()
    assert order.index(3) < order.index(2)


def test_a_seed_makes_a_draw_repeatable_and_another_seed_differs(runtime: LlamaCppModel) -> None:
    def draw(seed: int) -> str:
        params = GenerationParams(
            max_tokens=12, temperature=1.5, top_k=200, top_p=0.99, min_p=0.001, repeat_penalty=1.1, seed=seed
        )
        return runtime.complete(HELLO, params).text

    draws = {draw(seed) for seed in range(4)}
    assert len(draws) > 1


def test_a_repeat_penalty_changes_what_is_repeated(runtime: LlamaCppModel) -> None:
    question = [Message("user", "one one one one one one one one one one one")]
    plain = runtime.complete(question, GenerationParams(max_tokens=12)).text
    assert runtime.complete(question, GenerationParams(max_tokens=12, repeat_penalty=1.8)).text != plain


def test_a_prefix_begins_the_answer_and_is_not_repeated(runtime: LlamaCppModel) -> None:
    plain = runtime.complete(HELLO, GenerationParams(max_tokens=2))
    completion = runtime.complete(HELLO, GenerationParams(max_tokens=6, prefix="The sea is"))
    assert not completion.text.startswith("The sea is")
    assert completion.usage.prompt_tokens == plain.usage.prompt_tokens + runtime.count_tokens("The sea is")


def test_a_stop_text_ends_the_answer_before_it(runtime: LlamaCppModel) -> None:
    free = runtime.complete(HELLO, GenerationParams(max_tokens=12)).text
    stop = free.split()[3]
    pieces = list(runtime.stream(HELLO, GenerationParams(max_tokens=12, stop=(stop,))))
    assert "".join(piece.text for piece in pieces) == free[: free.index(stop)]
    assert pieces[-1].completion.finish_reason is FinishReason.STOP


def test_a_beginning_in_common_is_computed_once(runtime: LlamaCppModel) -> None:
    params = GenerationParams(max_tokens=2)
    first = runtime.complete([Message("system", LONG_BEGINNING), Message("user", "Which kettle?")], params)
    second = runtime.complete([Message("system", LONG_BEGINNING), Message("user", "How hot?")], params)
    assert first.usage.cached_tokens < 40
    assert second.usage.cached_tokens > runtime.count_tokens(LONG_BEGINNING)
    assert second.usage.cached_tokens < second.usage.prompt_tokens


def test_requests_that_come_together_share_their_beginning(chat_gguf: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=2048, max_sequences=4)
    system = Message("system", LONG_BEGINNING)
    requests = [Request((system, Message("user", f"Question {n}?")), GenerationParams(max_tokens=2)) for n in range(4)]
    answers = [answer for _, answer in model.generate_many(requests)]
    shared = model.count_tokens(LONG_BEGINNING)
    model.close()
    assert sum(answer.usage.cached_tokens >= shared for answer in answers) >= 2


def test_a_conversation_that_can_never_fit_is_refused_with_the_figures(runtime: LlamaCppModel) -> None:
    with pytest.raises(ContextOverflowError, match="2048") as caught:
        runtime.complete([Message("user", "word " * 3000)])
    assert caught.value.hint
    with pytest.raises(ContextOverflowError):
        runtime.complete(HELLO, GenerationParams(max_tokens=2048))


def test_a_prompt_that_just_fits_is_read(chat_gguf: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=2)
    empty = len(model.chat_prompt_tokens([Message("user", "")]))
    words = [Message("user", " a" * (512 - empty - 3))]
    room = 512 - len(model.chat_prompt_tokens(words))
    completion = model.complete(words, GenerationParams(max_tokens=room))
    model.close()
    assert completion.usage.prompt_tokens + room == 512


def test_time_that_is_up_ends_with_the_text_so_far(runtime: LlamaCppModel) -> None:
    completion = runtime.complete(HELLO, GenerationParams(max_tokens=500, timeout_s=0.001))
    assert completion.finish_reason is FinishReason.TIMEOUT
    assert completion.usage.completion_tokens < 500


def test_nonsense_in_the_parameters_is_the_callers_mistake(runtime: LlamaCppModel) -> None:
    with pytest.raises(InputError):
        runtime.complete(HELLO, GenerationParams(repeat_penalty=0))
    with pytest.raises(InputError):
        runtime.complete(HELLO, GenerationParams(constraint=Regex("[")))


# --- adapters


def test_base_and_adapter_answer_at_the_same_time(runtime: LlamaCppModel, adapter: Path) -> None:
    base = GenerationParams(max_tokens=6)
    tuned = GenerationParams(max_tokens=6, adapter=adapter)
    alone = runtime.complete(HELLO, base).text, runtime.complete(HELLO, tuned).text
    answers = dict(runtime.generate_many([Request(HELLO, base), Request(HELLO, tuned)]))
    assert alone[0] != alone[1]
    assert (answers[0].text, answers[1].text) == alone
    assert answers[1].adapter == str(adapter)
    assert answers[0].adapter is None


def test_more_adapters_than_contexts_take_turns(chat_gguf: Path, adapter: Path, tmp_path: Path) -> None:
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1)
    copies = [tmp_path / f"{n}.gguf" for n in range(5)]
    for copy in copies:
        copy.write_bytes(adapter.read_bytes())
    requests = [Request(HELLO, GenerationParams(max_tokens=2, adapter=copy)) for copy in [*copies, *copies]]
    answers = dict(model.generate_many(requests))
    model.close()
    assert len({answer.text for answer in answers.values()}) == 1
    assert len(answers) == 10


@pytest.mark.parametrize(
    "content", [None, b"", b"not a model at all", b"GGUF" + bytes(60)], ids=["missing", "empty", "text", "garbage"]
)
def test_an_adapter_that_cannot_be_used_is_refused_and_the_base_goes_on(
    runtime: LlamaCppModel, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "bad.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AdapterError):
        runtime.complete(HELLO, GenerationParams(max_tokens=2, adapter=path))
    assert runtime.complete(HELLO, GenerationParams(max_tokens=1)).text


def test_a_model_is_no_adapter(runtime: LlamaCppModel, chat_gguf: Path) -> None:
    with pytest.raises(AdapterError):
        runtime.complete(HELLO, GenerationParams(max_tokens=2, adapter=chat_gguf))


# --- files that are no models


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("GG, well played")
    with pytest.raises(ModelFileError, match="not a GGUF"):
        LlamaCppModel(path).complete(HELLO)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        LlamaCppModel(tmp_path / "gone.gguf").complete(HELLO)


@pytest.mark.parametrize("kept", [64, 100_000, 20_000_000], ids=["header", "vocabulary", "weights"])
def test_a_truncated_model_is_refused(chat_gguf: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.gguf"
    with chat_gguf.open("rb") as whole:
        path.write_bytes(whole.read(kept))
    with pytest.raises(ModelFileError):
        LlamaCppModel(path).complete(HELLO)


def test_weights_that_vanish_fail_the_request_and_not_the_process(chat_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.symlink_to(chat_gguf)
    model = LlamaCppModel(path)
    assert model.count_tokens("the vocabulary is there")
    path.unlink()
    with pytest.raises(ModelFileError):
        model.complete(HELLO)
    path.symlink_to(chat_gguf)
    assert model.complete(HELLO, GenerationParams(max_tokens=1)).text
    model.close()


# --- ending


def _decode_threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"decode-{name}"]


def test_closing_while_answers_run_ends_them_and_the_thread(chat_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "closing.gguf"
    path.symlink_to(chat_gguf)
    model = LlamaCppModel(path, context_tokens=4096, max_sequences=2)
    streams = [
        model.stream([Message("user", f"Tell me {n}")], GenerationParams(max_tokens=900, stop=("\0",))) for n in range(2)
    ]
    for stream in streams:
        next(stream)
    late = model.stream([Message("user", "word " * 2500)], GenerationParams(max_tokens=9))
    model.close()
    assert not _decode_threads("closing")
    for stream in streams:
        with pytest.raises(ModelError, match="closed"):
            list(stream)
    with pytest.raises(ModelError, match="closed"):
        list(late)


def test_weights_that_are_idle_are_given_back_and_come_again(chat_gguf: Path, caplog: pytest.LogCaptureFixture) -> None:
    unloaded = threading.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Unloaded"):
                unloaded.set()

    logger = logging.getLogger("engine.llm.llamacpp.lanes")
    watch = Watch()
    logger.addHandler(watch)
    model = LlamaCppModel(chat_gguf, context_tokens=512, max_sequences=1, idle_unload_s=0.01)
    with caplog.at_level(logging.INFO, logger.name):
        first = model.complete(HELLO, GenerationParams(max_tokens=3)).text
        assert unloaded.wait(30)
        assert model.complete(HELLO, GenerationParams(max_tokens=3)).text == first
    model.close()
    logger.removeHandler(watch)


def test_a_model_that_nobody_holds_ends_its_thread(chat_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "forgotten.gguf"
    path.symlink_to(chat_gguf)
    model = LlamaCppModel(path, context_tokens=512, max_sequences=1)
    model.complete(HELLO, GenerationParams(max_tokens=1))
    thread = _decode_threads("forgotten")[0]
    del model
    thread.join(10)
    assert not thread.is_alive()


LEAVING = """
import sys
from pathlib import Path
from engine.domain import Message
from engine.llm.base import GenerationParams
from engine.llm.llamacpp import LlamaCppModel
model = LlamaCppModel(Path(sys.argv[1]), context_tokens=1024)
stream = model.stream([Message("user", "Tell me all.")], GenerationParams(max_tokens=900))
print(next(stream).text != "", flush=True)
"""


def test_the_interpreter_may_leave_while_an_answer_runs(chat_gguf: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, str(chat_gguf)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=PROJECT_ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
