"""docs/metrics.md, the code and the dashboard name the same metrics; Prometheus scrapes the services that have them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from serving_doubles import Shop

from core.follow import Follower
from serving.metrics import Metrics, Waiting, names_of
from tidewise.background import Learning
from tidewise.trainer_metrics import TrainerMetrics
from tidewise.worker_metrics import WorkerMetrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "tidewise.json").read_text("utf-8"))
PROMETHEUS = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text("utf-8"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
NAME = re.compile(r"tidewise_\w+")


def of_the_api() -> set[str]:
    return Metrics(Shop().services, Waiting()).names()


def of_the_worker() -> set[str]:
    return names_of(WorkerMetrics(Follower(len, on_error=lambda error: None)).registry)


def of_the_trainer() -> set[str]:
    learning = Learning(next_job=lambda: None, arguments=[], variables={})
    return names_of(TrainerMetrics(learning).registry)


def documented(section: str) -> set[str]:
    """The names in the first column of a section's table."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(tidewise_\w+)` \|", text, re.M))


def test_every_metric_of_the_api_is_documented_and_every_documented_one_exists() -> None:
    assert documented("API") == of_the_api()


def test_every_metric_of_a_worker_is_documented_and_every_documented_one_exists() -> None:
    assert documented("Worker") == of_the_worker()


def test_every_metric_of_the_trainer_is_documented_and_every_documented_one_exists() -> None:
    assert documented("Trainer") == of_the_trainer()


def test_whatever_the_page_and_the_dashboard_mention_exists() -> None:
    known = of_the_api() | of_the_worker() | of_the_trainer()
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    mentioned = set(NAME.findall(PAGE)) | {name for query in queries for name in NAME.findall(query)}
    assert {re.sub(r"_bucket$", "", name) for name in mentioned} <= known


def test_the_panels_do_not_lie_on_each_other_and_ask_the_source_that_is_provided() -> None:
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {sources["datasources"][0]["uid"]}


def ports_of(service: dict[str, Any]) -> str:
    """Where a service of ours answers /metrics, within the network of the services."""
    environment = service["environment"]
    return str(environment["TIDEWISE_METRICS__PORT" if service["command"] != ["serve"] else "TIDEWISE_SERVER__PORT"])


def test_prometheus_scrapes_every_api_worker_and_trainer() -> None:
    wanted = {
        f"{name}:{ports_of(service)}"
        for name, service in COMPOSE["services"].items()
        if service.get("command") in (["worker"], ["serve"], ["learn"])
    }
    scraped = {
        target for job in PROMETHEUS["scrape_configs"] for one in job["static_configs"] for target in one["targets"]
    }
    assert scraped == wanted


def test_the_files_that_containers_read_are_there() -> None:
    mounts = [volume for service in COMPOSE["services"].values() for volume in service.get("volumes", [])]
    files = [ROOT / mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(files) == 3
    assert [path for path in files if not path.exists()] == []
