"""Cursors: the rest of a list, as signed text that the client keeps until it asks for the next page.

The list is decided by its first answer, so its pages are consistent and repeat nothing, whatever the user does
meanwhile and whichever process answers. The server keeps nothing.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, get_args

import numpy as np

from core.clock import DAY_MS
from core.errors import InvalidInput
from core.recommendation.requests import ReasonKind, RestOfList

LIFETIME_MS = DAY_MS
KINDS: tuple[ReasonKind | None, ...] = (None, *get_args(ReasonKind))
ABOUT = ("subject", "start_ms", "source", "reason", "model_version", "scenario", "arm", "exclude_seen")
MAC_BYTES = 16
HEADER = 2  # bytes that hold the length of the JSON


def encode_cursor(rest: RestOfList, key: bytes) -> str:
    """The rest of a list as text for a URL, signed with a key that all processes share."""
    about = {name: getattr(rest, name) for name in ABOUT} | {"num": len(rest.keys)}
    header = json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode()
    kinds = bytes(map(KINDS.index, rest.kinds))
    body = rest.keys.astype("<i8").tobytes() + kinds + rest.propensities.astype("<f4").tobytes()
    content = len(header).to_bytes(HEADER, "little") + header + body
    return urlsafe_b64encode(_mac(content, key) + content).rstrip(b"=").decode()


def decode_cursor(text: str, key: bytes, *, subject: str, now_ms: int) -> RestOfList:
    """The rest of a list; raises `InvalidInput` for text that is not a cursor of this list, or older than a day."""
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise _invalid("it is not a cursor") from None
    mac, content = content[:MAC_BYTES], content[MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(content, key)):
        raise _invalid("it is not a cursor of this installation")
    rest = _decoded(content)
    if rest.subject != subject:
        why = f"it continues the list of {rest.subject}"
        raise _invalid(why)
    if now_ms - rest.start_ms > LIFETIME_MS:
        raise _invalid("it is older than 24 hours")
    return rest


def _decoded(content: bytes) -> RestOfList:
    begin = HEADER + int.from_bytes(content[:HEADER], "little")
    about: dict[str, Any] = json.loads(content[HEADER:begin])
    num = about.pop("num")
    kinds = begin + 8 * num
    return RestOfList(
        keys=np.frombuffer(content, "<i8", num, begin).astype(np.int64),
        kinds=tuple(KINDS[kind] for kind in content[kinds : kinds + num]),
        propensities=np.frombuffer(content, "<f4", num, kinds + num).astype(np.float32),
        **about,
    )


def _mac(content: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(content, key=key, digest_size=MAC_BYTES).digest()


def _invalid(why: str) -> InvalidInput:
    return InvalidInput(f"next: {why}; ask for the first page again", field="next")
