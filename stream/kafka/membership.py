"""Leaving the consumer group for good, so that others take over at once instead of after the session.

A member with a stable name is expected back: its client never says that it leaves. Knows nothing about Faust.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from kafka.admin import MemberToRemove

from core.errors import StreamUnavailable
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import connected_admin

logger = logging.getLogger(__name__)

TIMEOUT_S = 3.0  # a worker that stops has other things to finish, and its supervisor's patience is short


def leave(settings: KafkaSettings, name: str) -> None:
    """Say that the member of this name is gone. Where Kafka cannot be told, its session ends by itself."""
    try:
        with connected_admin(replace(settings, request_timeout_s=TIMEOUT_S)) as admin:
            admin.remove_group_members(settings.group, [MemberToRemove(group_instance_id=name)])
    except StreamUnavailable as error:
        logger.warning("group %s was not told that %s leaves: %s", settings.group, name, error)
    else:
        logger.info("group %s: %s has left", settings.group, name)
