"""The configurations of proxy, Prometheus and Alertmanager in deploy/: each read by its own program."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import compose
import pytest
import yaml
from services.required import program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy"
SERVICES = compose.read(ROOT / "docker-compose.yml")


def run(*command: str | Path, **variables: str) -> str:
    """What a program writes to standard output; fails with all that it writes where it refuses a file."""
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copied(file: Path, folder: Path, replaced: dict[str, str]) -> Path:
    """A file with the paths of a container replaced by those here, each of which must be there."""
    text = file.read_text("utf-8")
    for path, here in replaced.items():
        assert path in text
        text = text.replace(path, here)
    copy = folder / file.name
    copy.write_text(text)
    return copy


@pytest.mark.parametrize("site", ["localhost", "shop.example"])
def test_caddy_accepts_the_proxy_and_finds_every_api(site: str, tmp_path: Path) -> None:
    caddy = program("caddy", package="caddy")
    upstreams = SERVICES["proxy"]["environment"]["UPSTREAMS"]
    variables = {"SITE": site, "UPSTREAMS": upstreams, "HOME": str(tmp_path)}
    source = ["--adapter", "caddyfile", "--config", FOLDER / "Caddyfile"]
    run(caddy, "validate", *source, **variables)
    adapted = json.loads(run(caddy, "adapt", *source, **variables))
    [route] = adapted["apps"]["http"]["servers"]["srv0"]["routes"]
    handlers = [one for inner in route["handle"][0]["routes"] for one in inner["handle"]]
    [proxy] = [handler for handler in handlers if handler["handler"] == "reverse_proxy"]
    assert route["match"] == [{"host": [site]}]
    assert [upstream["dial"] for upstream in proxy["upstreams"]] == upstreams.split()


def test_prometheus_accepts_its_configuration_and_the_rules(tmp_path: Path) -> None:
    promtool = program("promtool", package="prometheus")
    (tmp_path / "api_key").touch()
    here = {"/etc/prometheus/alerts.yml": str(FOLDER / "alerts.yml"), "/run/secrets": str(tmp_path)}
    output = run(promtool, "check", "config", "--lint-fatal", copied(FOLDER / "prometheus.yml", tmp_path, here))
    rules = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
    assert f"SUCCESS: {len(rules)} rules found" in output


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "on-call"), ("warning", "team"), ("info", "team")])
def test_alertmanager_accepts_its_configuration(severity: str, receiver: str, tmp_path: Path) -> None:
    amtool = program("amtool", package="prometheus-alertmanager")
    # Alertmanager knows url_file since 0.26; Debian 12 has 0.25.
    here = {"url_file: /run/secrets/alert_webhook": "url: http://receiver.invalid/alerts"}
    config = copied(FOLDER / "alertmanager.yml", tmp_path, here)
    run(amtool, "check-config", config)
    routed = run(amtool, "config", "routes", "test", f"--config.file={config}", f"severity={severity}")
    assert routed.split() == [receiver]


def test_alertmanager_can_read_the_address_of_its_receivers() -> None:
    config = yaml.safe_load((FOLDER / "alertmanager.yml").read_text("utf-8"))
    files = {hook["url_file"] for receiver in config["receivers"] for hook in receiver["webhook_configs"]}
    assert files == {f"/run/secrets/{name}" for name in SERVICES["alertmanager"]["secrets"]}


def test_every_severity_of_the_rules_is_one_that_is_routed() -> None:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    severities = {rule["labels"]["severity"] for group in groups for rule in group["rules"]}
    assert severities == {"critical", "warning", "info"}
