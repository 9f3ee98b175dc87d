"""Prices, what is recorded of them, and the month's budget."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.config import Settings, load_settings
from engine.db.repositories import SpendingRepository
from engine.db.session import Database
from engine.domain import FinishReason, Usage, utc_now
from engine.errors import BudgetError, ConfigError, NexusError, ProviderError
from engine.llm.base import GenerationParams, JsonSchema
from engine.llm.cloud import Budget, LiteLlmModel, TokenPrice
from engine.llm.cloud.access import Endpoint
from engine.llm.cloud.prices import Prices
from engine.llm.fake import FakeChatModel
from engine.llm.fallback import FallbackChatModel
from engine.llm.registry import create_chat_model

NOVEMBER = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
SHORT = GenerationParams(max_tokens=10)
PRICE = TokenPrice(1_000_000.0, 10_000_000.0)
"""A dollar for a token of the prompt, ten for one of the answer: sums that can be read."""

SAID = 3 * 1 + 4 * 10
"""The price of the played provider's answer by its own counts."""

MOST = 4 + 4 + 10 * 10
"""What it may cost: four tokens of prompt and four around them are estimated, and ten of answer allowed."""


@pytest.fixture
def spending(tmp_path: Path) -> SpendingRepository:
    return SpendingRepository(Database(tmp_path / "nexus.db"))


def _model(address: str, spending: SpendingRepository, limit: float | None = None, **options) -> LiteLlmModel:
    budget = Budget(spending, limit, now=lambda: NOVEMBER)
    return LiteLlmModel(
        options.pop("name", "openai/played"), offline=False, api_base=address, price=PRICE, budget=budget, **options
    )


def test_an_answer_costs_what_its_tokens_cost_and_that_is_recorded(elsewhere, spending, hello) -> None:
    completion = _model(elsewhere, spending).complete(hello, SHORT)
    assert completion.usage == Usage(3, 4, 0, SAID)
    assert completion.notice is None
    assert spending.of_month(NOVEMBER) == pytest.approx(SAID)
    assert spending.of_month(DECEMBER) == 0


def test_a_server_on_this_machine_costs_nothing(provider, spending, hello) -> None:
    completion = _model(provider.url, spending, limit=0.0, name="openai/gpt-4o").complete(hello)
    assert completion.usage.cost_usd == 0
    assert spending.of_month(NOVEMBER) == 0


def test_listed_prices_know_cached_tokens(elsewhere, provider, spending, hello) -> None:
    provider.script = ["cached"]
    cost = _model(elsewhere, spending, name="openai/gpt-4o").complete(hello).usage.cost_usd
    full = Prices("openai/gpt-4o", Endpoint("openai", elsewhere)).estimate(1000, 4)
    assert 0 < cost < full
    assert spending.of_month(NOVEMBER) == pytest.approx(cost)


def test_a_model_is_priced_as_its_own_providers(elsewhere) -> None:
    assert Prices("openai/gpt-4o", Endpoint("openai", None)).known
    assert Prices("mistral/mistral-small-latest", Endpoint("mistral", None)).known
    assert not Prices("openai/claude-sonnet-4-5", Endpoint("openai", None)).known
    assert not Prices("openai/nobody-knows", Endpoint("openai", elsewhere)).known


def test_what_may_go_beyond_the_budget_is_not_sent(elsewhere, provider, spending, hello) -> None:
    with pytest.raises(BudgetError) as caught:
        _model(elsewhere, spending, limit=MOST - 1).complete(hello, SHORT)
    assert "NEXUS_BUDGET_USD" in str(caught.value.hint)
    assert not caught.value.retryable
    assert provider.requests == []
    assert _model(elsewhere, spending, limit=MOST).complete(hello, SHORT).text


def test_the_budget_is_of_a_month_and_of_all_processes(elsewhere, provider, spending, hello) -> None:
    code = (
        "import sys; from datetime import datetime; from pathlib import Path; from engine.db.session import Database;"
        "from engine.db.repositories import SpendingRepository as S;"
        "S(Database(Path(sys.argv[1]))).reserve('openai/other', 100.0, datetime.fromisoformat(sys.argv[2]), None)"
    )
    path = spending._db.path
    subprocess.run([sys.executable, "-c", code, path, NOVEMBER.isoformat()], check=True, timeout=60)
    model = _model(elsewhere, spending, limit=MOST + 99)
    with pytest.raises(BudgetError):
        model.complete(hello, SHORT)
    assert Budget(spending, MOST + 99, now=lambda: DECEMBER).reserve(
        "openai/x", Prices("x", Endpoint("x", elsewhere), PRICE), MOST
    )


def test_a_spent_budget_lets_the_local_model_answer_and_say_so(elsewhere, spending, hello) -> None:
    model = FallbackChatModel(_model(elsewhere, spending, limit=1), FakeChatModel(["from here"], name="local"))
    completion = model.complete(hello)
    assert completion.text == "from here"
    assert "budget" in str(completion.notice).lower()


@pytest.mark.parametrize(("step", "cost"), [("400", 0), ("500", 0), ("breaks", None), ("ends", None)])
def test_a_failure_costs_what_had_come(elsewhere, provider, spending, hello, retries, step: str, cost: float | None) -> None:
    provider.script = [step]
    with pytest.raises(ProviderError):
        list(_model(elsewhere, spending, retries=retries).stream(hello, SHORT))
    spent = spending.of_month(NOVEMBER)
    assert spent == cost if cost is not None else 8 < spent < MOST


def test_attempts_that_broke_off_are_part_of_the_price(elsewhere, provider, spending, hello, retries) -> None:
    provider.script = ["ends", "ok"]
    completion = _model(elsewhere, spending, retries=retries).complete(hello, SHORT)
    assert completion.usage.cost_usd > SAID
    assert spending.of_month(NOVEMBER) == pytest.approx(completion.usage.cost_usd)


def test_answers_in_the_wrong_form_are_part_of_the_price(elsewhere, provider, spending, hello) -> None:
    answers = iter(["no", "17"])
    provider.answer = lambda _body: next(answers)
    completion = _model(elsewhere, spending).complete(hello, GenerationParams(constraint=JsonSchema({"type": "integer"})))
    assert completion.usage.cost_usd == 2 * (3 + 10)
    assert spending.of_month(NOVEMBER) == pytest.approx(2 * (3 + 10))


def test_a_stream_that_is_left_costs_what_had_come(elsewhere, provider, spending, hello) -> None:
    provider.script = ["stalls"]
    stream = _model(elsewhere, spending).stream(hello, SHORT)
    next(stream)
    assert spending.of_month(NOVEMBER) == pytest.approx(MOST)
    stream.close()
    assert spending.of_month(NOVEMBER) == pytest.approx(8 + 10)


def test_a_timeout_costs_its_prompt(elsewhere, provider, spending, hello) -> None:
    provider.script = ["hang"]
    completion = _model(elsewhere, spending).complete(hello, GenerationParams(max_tokens=10, timeout_s=0.3))
    assert completion.finish_reason is FinishReason.TIMEOUT
    assert completion.usage.cost_usd == spending.of_month(NOVEMBER) == 8


def test_an_unknown_price_is_refused_where_there_is_a_budget(elsewhere, provider, spending, hello) -> None:
    budget = Budget(spending, 5.0)
    model = LiteLlmModel("openai/played", offline=False, api_base=elsewhere, budget=budget)
    with pytest.raises(ConfigError) as caught:
        model.complete(hello)
    assert "NEXUS_PRICE_INPUT_PER_MTOK" in str(caught.value.hint)
    assert provider.requests == []


def test_an_unknown_price_counts_as_nothing_and_is_told_once(elsewhere, spending, hello) -> None:
    model = LiteLlmModel("openai/played", offline=False, api_base=elsewhere, budget=Budget(spending))
    first, *others = [model.complete(hello) for _ in range(3)]
    assert "NEXUS_PRICE_INPUT_PER_MTOK" in str(first.notice)
    assert [other.notice for other in others] == [None, None]
    assert spending.of_month(utc_now()) == 0


# --- the record


def test_what_was_reserved_and_never_settled_stays_spent(spending) -> None:
    spending.reserve("openai/x", 2.0, NOVEMBER, 3.0)
    with pytest.raises(BudgetError):
        spending.reserve("openai/x", 2.0, NOVEMBER, 3.0)


def test_a_request_counts_in_the_month_in_which_it_began(spending) -> None:
    request = spending.reserve("openai/x", 2.0, NOVEMBER, None)
    spending.settle(request, 0.5, DECEMBER)
    assert (spending.of_month(NOVEMBER), spending.of_month(DECEMBER)) == (0.5, 0.0)


def test_what_is_not_there_cannot_be_settled(spending) -> None:
    with pytest.raises(NexusError):
        spending.settle("nothing", 1.0, NOVEMBER)


# --- settings


def test_budget_and_prices_come_from_the_settings(
    elsewhere, settings: Settings, spending, hello, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", elsewhere)
    changed = {"offline": False, "budget_usd": 0.001, "price_input_per_mtok": 50.0, "price_output_per_mtok": 100.0}
    model = create_chat_model("openai/played", settings=settings.model_copy(update=changed), resolve=Path, spending=spending)
    assert model.complete(hello, GenerationParams(max_tokens=4)).usage.cost_usd == pytest.approx(3 * 50e-6 + 4 * 100e-6)
    with pytest.raises(BudgetError):
        model.complete(hello, GenerationParams(max_tokens=10))


def test_a_budget_that_cannot_be_recorded_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError):
        create_chat_model("openai/x", settings=settings.model_copy(update={"budget_usd": 1.0}), resolve=Path)


@pytest.mark.parametrize("value", ["-1", "much", "nan"])
def test_a_budget_is_a_sum(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NEXUS_BUDGET_USD", value)
    with pytest.raises(ConfigError, match="NEXUS_BUDGET_USD"):
        load_settings()
