"""Which questions a model is asked while it is trained, so that a person reads how it comes along."""

from __future__ import annotations

from engine.training.datasets.encoding import ChatEncoder
from engine.training.datasets.examples import Dataset, TrainingExample
from engine.training.trainer import SampleQuestion, Samples

_LONGEST_TEXT = 300
"""Characters of a question or an expected answer that are kept to be shown."""


def sample_questions(encoder: ChatEncoder, dataset: Dataset, count: int, limit: int) -> Samples:
    """The first `count` held-out questions; where there are fewer, questions of the training part besides.

    Held-out wordings of answers that are taught come first: what the model says to these tells most.

    Args:
        encoder: of the base; must stay open for as long as the samples are used.
        dataset: what is learnt and what is held out.
        count: how many.
        limit: tokens that a prompt may have at most.
    """
    taught = {example.answer for example in dataset.train}
    held_out = sorted(dataset.held_out, key=lambda example: example.answer not in taught)
    questions: list[SampleQuestion] = []
    for at, example in enumerate((*held_out, *dataset.train)):
        if len(questions) == count:
            break
        prompt = encoder.encode_example(example)
        if prompt.prompt_length < limit:
            tokens = prompt.tokens[: prompt.prompt_length]
            questions.append(_question(example, tokens, taught=at >= len(held_out)))
    return Samples(tuple(questions), encoder.text_of, encoder.end_tokens)


def _question(example: TrainingExample, tokens: tuple[int, ...], *, taught: bool) -> SampleQuestion:
    return SampleQuestion(example.question[:_LONGEST_TEXT], example.answer[:_LONGEST_TEXT], tokens, taught)
