"""docs/metrics.md, board, alert rules and processes name the same metrics and labels; Prometheus scrapes all."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from domain_shop import Shop as WatchedShop
from drift_doubles import monitor_of
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from serving_doubles import Api, Shop, click

from core.recommendation.user_vectors.encoding_queue import EncodingQueue
from core.records.drift import Alarm, Bucket, BucketCounts, Point
from serving.app import create_app
from stream.kafka.admin import PartitionStatus
from stream.worker.status import WorkerStatus
from tidewise.metrics.monitor import MonitorMetrics
from tidewise.metrics.trainer import TrainerMetrics
from tidewise.metrics.worker import WorkerMetrics
from tidewise.processes.learning_scheduler import LearningScheduler

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "tidewise.json").read_text("utf-8"))
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
NAME = re.compile(r"tidewise_\w+")


Labels = dict[str, set[str]]  # of metrics by their names in queries


def exported(text: str) -> Labels:
    """The metrics of a scrape with their labels."""
    labels: Labels = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels.setdefault(name, set()).update(*(sample.labels.keys() for sample in family.samples))
    return {name: own - {"le"} for name, own in labels.items()}


def of(registry: CollectorRegistry) -> Labels:
    return exported(generate_latest(registry).decode())


@cache
def of_the_api() -> Labels:
    shop = Shop()
    with Api(create_app(shop.services)) as api:
        click(api, "ann", "a")
        api.get("/v1/users/ann/recommendations")
        shop.answers.flush()
        return exported(api.get("/metrics").text)


@cache
def of_the_worker() -> Labels:
    metrics = WorkerMetrics(EncodingQueue(len, on_error=lambda error: None))
    metrics.set_status(WorkerStatus("w", {0: PartitionStatus(0, 5)}))
    return of(metrics.registry)


@cache
def of_the_trainer() -> Labels:
    learning = LearningScheduler(next_job=lambda: None, arguments=[], variables={})
    return of(TrainerMetrics(learning).registry)


@cache
def of_the_monitor() -> Labels:
    shop = WatchedShop()
    monitor = monitor_of(shop)
    assert monitor.step()
    with shop.store.transaction() as tx:
        tx.drift.add_bucket(Bucket(0, BucketCounts()))
        tx.drift.save_alarms([Alarm("a", "loss", "", 5, 2, 0.2, 0.1, 0.08, 0.12, "why")])
        tx.drift.save_points([Point("loss", "", 0, 10, 5, 1.0, 1.1)])
        tx.commit()
    return of(MonitorMetrics(shop.store, monitor, clock=shop.clock).registry)


PROCESSES = {"API": of_the_api, "Worker": of_the_worker, "Trainer": of_the_trainer, "Monitor": of_the_monitor}


def of_all() -> Labels:
    return {name: labels for metrics in PROCESSES.values() for name, labels in metrics().items()}


def rows(section: str = "") -> list[list[str]]:
    """The cells of the tables of metrics in a section, or in all."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0] if section else PAGE
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `tidewise_")
    ]


def expressions() -> list[str]:
    """The queries of the board and of the alert rules."""
    of_rules = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + of_rules


@pytest.mark.parametrize("process", PROCESSES)
def test_documented_metrics_and_labels_are_those_exported(process: str) -> None:
    documented = {cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[1])) for cells in rows(process)}
    assert documented == PROCESSES[process]()


def test_every_metric_has_its_meaning_and_what_to_do() -> None:
    assert {cells[0].strip("`") for cells in rows()} == of_all().keys()
    assert [
        cells for cells in rows() if len(cells) != 4 or not cells[2].endswith(".") or not cells[3].endswith((".", "?"))
    ] == []


def test_standby_monitor_reports_no_stored_metrics() -> None:
    shop = WatchedShop()
    assert monitor_of(shop, "one").step()
    second = monitor_of(shop, "two")
    second.step()
    names = of(MonitorMetrics(shop.store, second, clock=shop.clock).registry)
    assert "tidewise_drift_active" in names
    assert "tidewise_drift_signal" not in names


def test_alert_rules_say_what_to_do() -> None:
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    documented = re.findall(r"^\| `(Tidewise\w+)`", DEPLOYMENT, re.M)
    assert all(rule["annotations"]["summary"] for rule in rules)
    assert sorted(documented) == sorted(rule["alert"] for rule in rules)
    assert PROMETHEUS["rule_files"] == ["/etc/prometheus/alerts.yml"]


@pytest.mark.parametrize("query", expressions())
def test_queries_of_board_and_rules_name_existing_metrics_and_labels(query: str) -> None:
    known = of_all()
    names = NAME.findall(query)
    assert names
    labels: set[str] = set()
    for name, selectors in re.findall(r"(tidewise_\w+?)(?:_bucket)?\b(?:\{(.*?)\})?", query):
        assert set(re.findall(r"(\w+) ?[=!]~?\"", selectors)) <= known[name]
        labels |= known[name]
    grouped = {label for group in re.findall(r"by \((.*?)\)", query) for label in group.split(", ")}
    assert grouped <= labels | {"instance", "le"}


def test_metrics_named_on_the_page_exist() -> None:
    assert set(NAME.findall(PAGE)) <= of_all().keys()


def test_the_board_shows_what_operators_are_alerted_of() -> None:
    shown = {
        name for panel in DASHBOARD["panels"] for target in panel["targets"] for name in NAME.findall(target["expr"])
    }
    alerted = {name for query in expressions() for name in NAME.findall(query)}
    assert alerted - shown == {"tidewise_drift_newest_alarm_timestamp_seconds", "tidewise_snapshot_age_seconds"}


def test_dashboard_panels_do_not_overlap_and_use_the_data_source() -> None:
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {sources["datasources"][0]["uid"]}


def ports_of(service: dict[str, Any]) -> str:
    """Where a service of ours answers /metrics, within the network of the services."""
    environment = service["environment"]
    return str(environment["TIDEWISE_METRICS__PORT" if service["command"] != ["serve"] else "TIDEWISE_SERVER__PORT"])


def test_prometheus_scrapes_every_api_worker_and_trainer() -> None:
    expected = {
        f"{name}:{ports_of(service)}"
        for name, service in COMPOSE["services"].items()
        if service.get("command") in (["worker"], ["serve"], ["learn"], ["monitor"])
    }
    scraped = {
        target
        for job in PROMETHEUS["scrape_configs"]
        for config in job["static_configs"]
        for target in config["targets"]
    }
    assert scraped == expected


def test_the_files_that_containers_read_are_there() -> None:
    mounts = [volume for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    files = [ROOT / mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(files) == 6
    assert [path for path in files if not path.exists()] == []
