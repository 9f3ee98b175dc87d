"""Metrics: counts, durations, their text form and the loopback server."""

import math
import socket
import urllib.request

import pytest

from engine.domain import Usage
from engine.errors import ConfigError
from engine.observability.metrics import Metrics, histogram_quantile


def value(metrics: Metrics, metric: str, labels: str = "") -> float:
    return next(row.value for row in metrics.snapshot() if row.metric == metric and row.labels == labels)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_jobs_are_counted_by_kind_and_state() -> None:
    metrics = Metrics()
    metrics.job_started("faq")
    assert value(metrics, "nexus_jobs_running", "kind=faq") == 1
    metrics.job_ended("faq", "succeeded", 12.0)
    assert value(metrics, "nexus_jobs_running", "kind=faq") == 0
    assert value(metrics, "nexus_jobs_total", "kind=faq, state=succeeded") == 1
    assert value(metrics, "nexus_job_seconds_sum", "kind=faq") == 12.0


def test_generations_count_tokens_and_times() -> None:
    metrics = Metrics()
    metrics.generation("small", "rag", "stop", usage=Usage(100, 20), first_token_s=0.2)
    metrics.generation("small", "rag", "timeout")
    assert value(metrics, "nexus_generations_total", "model=small, outcome=stop, target=rag") == 1
    assert value(metrics, "nexus_tokens_total", "direction=in, model=small, target=rag") == 100
    assert value(metrics, "nexus_tokens_total", "direction=out, model=small, target=rag") == 20
    assert value(metrics, "nexus_first_token_seconds_count", "model=small, target=rag") == 1


def test_content_is_counted() -> None:
    metrics = Metrics()
    metrics.faq_pairs("approved", 3)
    metrics.lead_stored()
    metrics.document("ok", pages=7)
    assert value(metrics, "nexus_faq_pairs_total", "status=approved") == 3
    assert value(metrics, "nexus_leads_total") == 1
    assert value(metrics, "nexus_ingested_pages_total") == 7


def test_the_process_is_measured() -> None:
    metrics = Metrics()
    assert value(metrics, "nexus_process_memory_bytes") > 1e6
    assert value(metrics, "nexus_process_cpu_seconds") > 0


def test_instances_do_not_share_counts() -> None:
    first, second = Metrics(), Metrics()
    first.lead_stored()
    assert value(second, "nexus_leads_total") == 0


def test_render_is_prometheus_text() -> None:
    metrics = Metrics()
    metrics.answered("base", 0.3)
    assert b'nexus_answer_seconds_bucket{le="0.5",target="base"} 1.0' in metrics.render()


def test_the_server_is_bound_to_the_loopback_interface_only() -> None:
    metrics, port = Metrics(), free_port()
    metrics.lead_stored()
    metrics.serve(port)
    metrics.serve(port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        assert b"nexus_leads_total 1.0" in response.read()
    with socket.socket() as other:
        # The same port of another loopback address is still free, so the server is not bound to every address.
        other.bind(("127.0.0.2", port))


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be served") as caught:
            Metrics().serve(taken.getsockname()[1])
    assert caught.value.hint


def test_quantiles_interpolate_inside_a_bucket() -> None:
    buckets = [(1.0, 10.0), (2.0, 20.0), (math.inf, 20.0)]
    assert histogram_quantile(0.5, buckets) == 1.0
    assert histogram_quantile(0.75, buckets) == 1.5
    assert histogram_quantile(0.99, [(1.0, 0.0), (math.inf, 5.0)]) == 1.0
    assert math.isnan(histogram_quantile(0.5, []))
