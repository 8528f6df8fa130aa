"""Reads an experiment from JSON or TOML; every error names the field that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from core.errors import InvalidInput
from core.events.interactions import check_id, check_time_ms, shorten
from core.experiments.experiment import METRICS, Arm, Experiment, Metric
from core.json_fields import check_description, check_name, choice, entries, number, object_fields
from core.times import second_text

FIELDS = ("description", "scenario", "arms", "metric", "salt", "start", "end")
MAX_ARMS = 10
MIN_SHARE = 0.001
MAX_MODELS = 3  # versions that arms name: every process keeps them loaded beside the champion


def parse_experiment(raw: object, *, name: str, now_ms: int = 0) -> Experiment:
    """A decoded JSON object as an experiment; raises `InvalidInput`. `now_ms`: the start, where there is none."""
    values = object_fields(raw, "experiment", FIELDS, required=("arms",))
    check_description(values.get("description"))
    metric = choice(values, "metric", METRICS, METRICS[0])
    start_ms = check_time_ms("start", values["start"]) if "start" in values else now_ms
    end_ms = check_time_ms("end", values["end"]) if "end" in values else None
    if end_ms is not None and end_ms < start_ms:
        start = shorten(values["start"]) if "start" in values else f"{second_text(now_ms)} UTC"
        msg = f"end: wanted a time that is not before the start, {start}, got {shorten(values['end'])}"
        raise InvalidInput(msg, field="end")
    return Experiment(
        name=name,
        arms=_arms(values),
        scenario=_scenario(values, "scenario"),
        salt=check_id("salt", values["salt"]) if "salt" in values else "",
        metric=cast(Metric, metric),
        start_ms=start_ms,
        end_ms=end_ms,
    )


def _arms(values: Mapping[str, Any]) -> tuple[Arm, ...]:
    arms = tuple(_arm(raw, field) for raw, field in entries(values, "arms", MAX_ARMS))
    names = [arm.name for arm in arms]
    if len(arms) < 2 or len(set(names)) < len(names):
        msg = f"arms: wanted two to {MAX_ARMS} arms with different names, got {', '.join(names) or 'none'}"
        raise InvalidInput(msg, field="arms")
    total = math.fsum(arm.share for arm in arms)
    if total > 1 + 1e-9:
        msg = f"arms: wanted shares that add up to at most 1, got {total:g}"
        raise InvalidInput(msg, field="arms")
    num_models = len({arm.model for arm in arms if arm.model})
    if num_models > MAX_MODELS:
        msg = f"arms: wanted at most {MAX_MODELS} different model versions, got {num_models}"
        raise InvalidInput(msg, field="arms")
    return arms


def _arm(raw: object, field: str) -> Arm:
    values = object_fields(raw, field, ("name", "share", "scenario", "model"), required=("name", "share"))
    if not isinstance(values["name"], str):
        msg = f"{field}.name: wanted text, got {shorten(values['name'])}"
        raise InvalidInput(msg, field=f"{field}.name")
    share = number(values["share"], f"{field}.share", low=MIN_SHARE, high=1.0)
    model = check_id(f"{field}.model", values["model"]) if values.get("model") else ""
    return Arm(check_name(values["name"]), share, _scenario(values, f"{field}.scenario"), model)


def _scenario(values: Mapping[str, Any], field: str) -> str:
    name = values.get("scenario", "")
    if not isinstance(name, str):
        msg = f"{field}: wanted the name of a scenario, got {shorten(name)}"
        raise InvalidInput(msg, field=field)
    return check_name(name) if name else ""
