"""The resources of KEDA in deploy/kubernetes: the fields that we set, as its documentation and its CRDs describe them.

Kubernetes' own schemas know neither kind. Unknown fields, and numbers written as text or the reverse, are errors.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Number = Annotated[int, Field(ge=0)]


class KedaFields(BaseModel):
    """Fields of a resource, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ScaleTarget(KedaFields):
    """What is scaled."""

    apiVersion: Literal["apps/v1"]
    kind: Literal["Deployment", "StatefulSet"]
    name: str


class KafkaTriggerMetadata(KedaFields):
    """Of the scaler `kafka`, where every value is text."""

    bootstrapServers: str
    consumerGroup: str
    topic: str
    lagThreshold: Annotated[str, Field(pattern=r"^[1-9]\d*$")]
    tls: Literal["enable", "disable"]
    sasl: Literal["none", "plaintext", "scram_sha256", "scram_sha512", "gssapi", "oauthbearer", "aws_msk_iam"]


class AuthenticationRef(KedaFields):
    """The resource that says where a trigger's secrets are."""

    name: str


class KafkaTrigger(KedaFields):
    """One reason to scale."""

    type: Literal["kafka"]
    metadata: KafkaTriggerMetadata
    authenticationRef: AuthenticationRef


class AutoscalerConfig(KedaFields):
    """What KEDA passes on to the HorizontalPodAutoscaler that it makes."""

    behavior: dict[str, Any]  # Kubernetes has a schema of it


class Advanced(KedaFields):
    """The rarer fields."""

    horizontalPodAutoscalerConfig: AutoscalerConfig


class ScaledObjectSpec(KedaFields):
    """How many replicas, and why."""

    scaleTargetRef: ScaleTarget
    minReplicaCount: Number
    maxReplicaCount: Annotated[int, Field(ge=1)]
    pollingInterval: Annotated[int, Field(ge=1)]
    cooldownPeriod: Number
    advanced: Advanced
    triggers: Annotated[list[KafkaTrigger], Field(min_length=1)]


class SecretTarget(KedaFields):
    """A parameter of a trigger that is an entry of a secret."""

    parameter: Literal["username", "password"]
    name: str
    key: str


class TriggerAuthenticationSpec(KedaFields):
    """Where the secrets of a trigger are."""

    secretTargetRef: Annotated[list[SecretTarget], Field(min_length=1)]


SPECS: dict[str, type[KedaFields]] = {
    "ScaledObject": ScaledObjectSpec,
    "TriggerAuthentication": TriggerAuthenticationSpec,
}


def validate(resource: dict[str, Any]) -> KedaFields:
    """The checked spec; raises `ValidationError`, which names the field."""
    assert resource.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert resource["apiVersion"] == "keda.sh/v1alpha1"
    return SPECS[resource["kind"]].model_validate(resource["spec"])
