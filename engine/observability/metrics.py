"""Counts and durations of what the engine does, in Prometheus' terms, kept in this process.

Lives here: the metrics, their names and labels, their text form, and the loopback server for a local Prometheus.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.domain import Usage
from engine.errors import ConfigError

Target = Literal["base", "finetuned", "rag", "agent"]
"""What answered: the bare model, a fine-tuned one, retrieval, or an agent."""

JOB_SECONDS = (0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400)
ANSWER_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One value of one metric: `labels` is like `kind=faq, state=succeeded`. Histograms give `_count`, `_sum` and quantiles."""

    metric: str
    labels: str
    value: float
    description: str


class Metrics:
    """All metrics of one process. Thread-safe; each instance has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._server_port: int | None = None
        self._add_job_metrics()
        self._add_answer_metrics()
        self._add_content_metrics()
        self.registry.register(_ProcessCollector())

    def _add_job_metrics(self) -> None:
        self._jobs = Counter("nexus_jobs", "Jobs by kind and the state they reached", ["kind", "state"], registry=self.registry)
        self._job_seconds = Histogram(
            "nexus_job_seconds", "How long jobs ran", ["kind"], buckets=JOB_SECONDS, registry=self.registry
        )
        self._running = Gauge("nexus_jobs_running", "Jobs that run now", ["kind"], registry=self.registry)

    def _add_answer_metrics(self) -> None:
        labels = ["model", "target"]
        self._generations = Counter("nexus_generations", "Generations by outcome", [*labels, "outcome"], registry=self.registry)
        self._tokens = Counter("nexus_tokens", "Tokens in and out", [*labels, "direction"], registry=self.registry)
        self._first_token = Histogram(
            "nexus_first_token_seconds", "Time to the first token", labels, buckets=ANSWER_SECONDS, registry=self.registry
        )
        self._answer = Histogram(
            "nexus_answer_seconds", "Time to the whole answer", ["target"], buckets=ANSWER_SECONDS, registry=self.registry
        )

    def _add_content_metrics(self) -> None:
        self._faq = Counter("nexus_faq_pairs", "FAQ pairs by the status they got", ["status"], registry=self.registry)
        self._leads = Counter("nexus_leads", "Leads stored", registry=self.registry)
        self._documents = Counter(
            "nexus_documents", "Documents by outcome: ok, or the code of the error", ["outcome"], registry=self.registry
        )
        self._pages = Counter("nexus_ingested_pages", "Pages read from documents", registry=self.registry)

    def job_started(self, kind: str) -> None:
        """A job began to run."""
        self._running.labels(kind).inc()

    def job_ended(self, kind: str, state: str, seconds: float) -> None:
        """A job that `job_started` was called for reached `state` after `seconds`."""
        self._running.labels(kind).dec()
        self._jobs.labels(kind, state).inc()
        self._job_seconds.labels(kind).observe(max(0.0, seconds))

    def generation(
        self,
        model: str,
        target: Target,
        outcome: str,
        *,
        usage: Usage | None = None,
        first_token_s: float | None = None,
    ) -> None:
        """An answer ended. `outcome` is a finish reason, `found` or `not_found` (from documents), or an error's code."""
        self._generations.labels(model, target, outcome).inc()
        if usage is not None:
            self._tokens.labels(model, target, "in").inc(max(0, usage.prompt_tokens))
            self._tokens.labels(model, target, "out").inc(max(0, usage.completion_tokens))
        if first_token_s is not None:
            self._first_token.labels(model, target).observe(max(0.0, first_token_s))

    def answered(self, target: Target, seconds: float) -> None:
        """An answer was complete after `seconds`, waiting included."""
        self._answer.labels(target).observe(max(0.0, seconds))

    def faq_pairs(self, status: str, count: int = 1) -> None:
        """FAQ pairs got a status, from extraction or from a reviewer: `pending`, `approved` or `rejected`."""
        self._faq.labels(status).inc(max(0, count))

    def lead_stored(self) -> None:
        """An agent stored a lead."""
        self._leads.inc()

    def document(self, outcome: str, pages: int = 0) -> None:
        """A document was read (`ok`), or could not be (the code of the error); `pages` are those that were read."""
        self._documents.labels(outcome).inc()
        self._pages.inc(max(0, pages))

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        text: bytes = generate_latest(self.registry)
        return text

    def serve(self, port: int) -> None:
        """Serve `render` at http://127.0.0.1:`port`/metrics until the process ends. A second call does nothing.

        Raises:
            ConfigError: the port cannot be used.
        """
        if self._server_port is not None:
            return
        try:
            start_http_server(port, addr="127.0.0.1", registry=self.registry)
        except (OSError, OverflowError) as exc:
            hint = "Choose another port with NEXUS_METRICS_PORT, or unset it."
            raise ConfigError(f"Metrics cannot be served on port {port}: {exc}", hint=hint) from exc
        self._server_port = port

    def snapshot(self) -> list[MetricRow]:
        """Every value that is not a mere bucket, for a page: counters, gauges, and count, sum, median and p95 of durations."""
        rows: list[MetricRow] = []
        for metric in self.registry.collect():
            rows.extend(_rows_of(metric))
        return rows


class _ProcessCollector(Collector):
    """Memory and processor time of this process, read when asked for."""

    def collect(self) -> Iterable[Metric]:
        process = psutil.Process()
        with process.oneshot():
            memory, times, threads = process.memory_info(), process.cpu_times(), process.num_threads()
        yield GaugeMetricFamily("nexus_process_memory_bytes", "Resident memory of this process", value=memory.rss)
        yield GaugeMetricFamily("nexus_process_cpu_seconds", "Processor time of this process", value=times.user + times.system)
        yield GaugeMetricFamily("nexus_process_threads", "Threads of this process", value=threads)


def _rows_of(metric: Metric) -> list[MetricRow]:
    kept = [s for s in metric.samples if not s.name.endswith(("_bucket", "_created"))]
    rows = [MetricRow(s.name, _label_text(s.labels), s.value, metric.documentation) for s in kept]
    if metric.type == "histogram":
        rows.extend(_quantile_rows(metric))
    return rows


def _quantile_rows(metric: Metric) -> list[MetricRow]:
    series: dict[str, list[tuple[float, float]]] = {}
    for sample in metric.samples:
        if sample.name.endswith("_bucket"):
            labels = {name: value for name, value in sample.labels.items() if name != "le"}
            series.setdefault(_label_text(labels), []).append((float(sample.labels["le"]), sample.value))
    return [
        MetricRow(f"{metric.name}_{name}", labels, histogram_quantile(q, buckets), metric.documentation)
        for labels, buckets in series.items()
        for name, q in (("p50", 0.5), ("p95", 0.95))
    ]


def histogram_quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    """The quantile `q` of a histogram, by linear interpolation inside a bucket, as PromQL's function of that name does.

    Args:
        q: in 0…1.
        buckets: (upper bound, cumulative count), ascending; the last bound is infinite.

    Returns:
        NaN where nothing was observed; the highest finite bound where the quantile lies above it.
    """
    total = buckets[-1][1] if buckets else 0.0
    if total == 0:
        return math.nan
    rank, lower, below = q * total, 0.0, 0.0
    for upper, count in buckets:
        if count >= rank:
            if math.isinf(upper) or count == below:
                return lower
            return lower + (upper - lower) * (rank - below) / (count - below)
        lower, below = upper, count
    return lower


def _label_text(labels: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
