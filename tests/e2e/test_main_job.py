"""The main job through the command line with the real models, and the JSON that each command prints."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.evaluation.metrics import token_f1

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(1500)]

NONE = type(None)
NUMBER = (int, float)
USAGE = {"prompt_tokens": int, "completion_tokens": int, "cached_tokens": int, "cost_usd": NUMBER}
TIMINGS = {"queued_s": NUMBER, "first_token_s": NUMBER, "total_s": NUMBER}
CITATION = {"document": str, "page": int, "quote": str, "score": NUMBER}
ANSWER = {"answer": str, "found": bool, "citations": list, "usage": dict, "timings": dict}
Check = Callable[[dict, dict], None]


def test_pairs_are_extracted_each_with_its_proof(main_job: Any, has_fields: Check) -> None:
    pairs = main_job.printed["extract"]
    pending = [pair for pair in pairs if pair["status"] == "pending"]
    assert len(pending) >= 6
    for pair in pairs:
        texts = dict.fromkeys(("id", "question", "answer", "quote", "document", "status"), str)
        has_fields(pair, {**texts, "page": int, "score": NUMBER})
    assert {pair["document"] for pair in pairs} == {"aurora-kettle-handbook.pdf"}
    assert all(pair["quote"] and 1 <= pair["page"] <= 4 and 0 <= pair["score"] <= 1 for pair in pending)
    assert len({pair["id"] for pair in pairs}) == len(pairs)


def test_all_pending_pairs_are_approved(main_job: Any) -> None:
    (report,) = main_job.printed["approve"]
    assert report["approved"] == report["approved_in_all"] >= 6


def test_a_question_is_answered_with_a_citation(main_job: Any, has_fields: Check) -> None:
    (answer,) = main_job.printed["ask"]
    has_fields(answer, ANSWER)
    has_fields(answer["usage"], USAGE)
    has_fields(answer["timings"], TIMINGS)
    assert answer["found"] is True
    assert "3 years" in answer["answer"]
    for citation in answer["citations"]:
        has_fields(citation, CITATION)
    assert any("3 years" in citation["quote"] and citation["page"] == 1 for citation in answer["citations"])


def test_what_the_documents_do_not_hold_is_not_answered(main_job: Any, has_fields: Check) -> None:
    (answer,) = main_job.printed["ask nothing"]
    has_fields(answer, ANSWER)
    assert answer["found"] is False
    assert answer["citations"] == []
    assert "documents do not say" in answer["answer"]


def test_a_finetune_gives_an_adapter_that_agrees_with_its_training(main_job: Any, has_fields: Check) -> None:
    (made,) = main_job.printed["finetune"]
    has_fields(made, {"job": str, "adapter": str, "base": str, "path": str, "result": dict, "card": dict})
    assert made["adapter"] == "kettles-quick"
    assert made["path"].endswith(".gguf")
    assert made["result"]["parity"]["ok"] is True
    taught = len(main_job.taught)
    assert taught < made["result"]["examples"] <= 3 * taught, "in up to two other wordings as well"


def test_the_finetuned_model_answers_what_it_was_taught(main_job: Any, has_fields: Check) -> None:
    recalled = []
    for number, pair in enumerate(main_job.taught[:2]):
        (reply,) = main_job.printed[f"chat {number}"]
        has_fields(reply, {"answer": str, "conversation": str, "usage": dict, "timings": dict, "model": str})
        assert reply["adapter"] == "kettles-quick"
        recalled.append(token_f1(reply["answer"], pair["answer"]))
    assert max(recalled) >= 0.8
    assert min(recalled) >= 0.4


def test_the_three_sides_of_a_comparison_answer(main_job: Any, has_fields: Check) -> None:
    (compared,) = main_job.printed["compare"]
    for side in ("base", "finetuned", "rag"):
        has_fields(compared[side], {**ANSWER, "error": NONE})
        assert compared[side]["answer"]
        assert compared[side]["timings"]["total_s"] > 0
    assert compared["finetuned"]["adapter"] == "kettles-quick"
    assert compared["base"]["answer"] != compared["finetuned"]["answer"]
    assert compared["rag"]["citations"]


def test_the_agent_answers_and_collects_the_lead(main_job: Any, has_fields: Check) -> None:
    (reply,) = main_job.printed["agent chat"]
    has_fields(reply, {"reply": str, "conversation": str, "lead": dict, "citations": list})
    assert "3 years" in reply["reply"]
    assert reply["lead"]["name"] == "Maria Lopez"
    assert reply["lead"]["email"] == "maria.lopez@example.com"


def test_a_later_message_completes_the_lead(main_job: Any) -> None:
    (lead,) = main_job.printed["leads"]
    assert lead["agent"] == "Iris"
    assert lead["fields"]["email"] == "maria.lopez@example.com"
    assert lead["fields"]["phone"] == "+44 20 7946 0958"
    assert lead["conversation"] == main_job.printed["agent chat"][0]["conversation"]


def test_all_targets_are_measured(main_job: Any, has_fields: Check) -> None:
    (report,) = main_job.printed["evaluate"]
    figures = {row["target"]: row for row in report["targets"]}
    assert figures.keys() == {"base", "adapter:kettles-quick", "rag"}
    for row in figures.values():
        has_fields(row, dict.fromkeys(("exact_match", "token_f1", "similarity", "latency_p50_s"), NUMBER))
        assert row["examples"] >= 1
        assert row["errors"] == 0


def test_every_job_succeeded_at_once(main_job: Any) -> None:
    states = {job["kind"]: (job["state"], job["attempts"]) for job in main_job.printed["jobs"]}
    assert states.keys() >= {"extract", "finetune", "evaluate"}
    assert set(states.values()) == {("succeeded", 1)}
