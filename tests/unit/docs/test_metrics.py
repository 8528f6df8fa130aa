"""docs/metrics.md, the code and the dashboard name the same metrics; Prometheus scrapes the services that have them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from domain_shop import Shop as WatchedShop
from drift_doubles import monitor_of
from serving_doubles import Shop

from core.recommendation.user_vectors.encoding_queue import EncodingQueue
from core.records.drift import Alarm, Bucket, BucketCounts, Point
from serving.runtime.metrics import Metrics, names_of
from tidewise.metrics.monitor import MonitorMetrics
from tidewise.metrics.trainer import TrainerMetrics
from tidewise.metrics.worker import WorkerMetrics
from tidewise.processes.learning_scheduler import LearningScheduler

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "tidewise.json").read_text("utf-8"))
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text("utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
NAME = re.compile(r"tidewise_\w+")


def of_the_api() -> set[str]:
    return Metrics(Shop().services).names()


def of_the_worker() -> set[str]:
    return names_of(WorkerMetrics(EncodingQueue(len, on_error=lambda error: None)).registry)


def of_the_trainer() -> set[str]:
    learning = LearningScheduler(next_job=lambda: None, arguments=[], variables={})
    return names_of(TrainerMetrics(learning).registry)


def of_the_monitor() -> set[str]:
    shop = WatchedShop()
    monitor = monitor_of(shop)
    assert monitor.step()
    with shop.store.transaction() as tx:
        tx.drift.add_bucket(Bucket(0, BucketCounts()))
        tx.drift.save_alarms([Alarm("a", "loss", "", 5, 2, 0.2, 0.1, 0.08, 0.12, "why")])
        tx.drift.save_points([Point("loss", "", 0, 10, 5, 1.0, 1.1)])
        tx.commit()
    return names_of(MonitorMetrics(shop.store, monitor, clock=shop.clock).registry)


def documented(section: str) -> set[str]:
    """The names in the first column of a section's table."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(tidewise_\w+)` \|", text, re.M))


def test_documented_metrics_of_the_api_are_those_it_exports() -> None:
    assert documented("API") == of_the_api()


def test_documented_metrics_of_a_worker_are_those_it_exports() -> None:
    assert documented("Worker") == of_the_worker()


def test_documented_metrics_of_the_trainer_are_those_it_exports() -> None:
    assert documented("Trainer") == of_the_trainer()


def test_documented_metrics_of_the_monitor_are_those_it_exports() -> None:
    assert documented("Monitor") == of_the_monitor()


def test_standby_monitor_reports_no_stored_metrics() -> None:
    shop = WatchedShop()
    assert monitor_of(shop, "one").step()
    second = monitor_of(shop, "two")
    second.step()
    names = names_of(MonitorMetrics(shop.store, second, clock=shop.clock).registry)
    assert "tidewise_drift_active" in names
    assert "tidewise_drift_signal" not in names


def test_alert_rules_use_existing_metrics_and_say_what_to_do() -> None:
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    mentioned = {name for rule in rules for name in NAME.findall(rule["expr"])}
    assert mentioned <= of_the_api() | of_the_worker() | of_the_monitor()
    assert all(rule["annotations"]["summary"] for rule in rules)
    assert len({rule["alert"] for rule in rules}) == len(rules)
    assert PROMETHEUS["rule_files"] == ["/etc/prometheus/alerts.yml"]


def test_metrics_named_on_the_page_and_dashboard_exist() -> None:
    known = of_the_api() | of_the_worker() | of_the_trainer() | of_the_monitor()
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    mentioned = set(NAME.findall(PAGE)) | {name for query in queries for name in NAME.findall(query)}
    assert {re.sub(r"_bucket$", "", name) for name in mentioned} <= known


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
