"""Signing in: the scope that claims grant, and the name of a person."""

from __future__ import annotations

from typing import Any

import pytest

from core.access.sign_in import SignIn, person_of
from core.records.api_keys import Scope

GRANTED = {Scope.READ: ("staff",), Scope.WRITE: (), Scope.ADMIN: ("owners", "it")}


def sign_in(*, claim: str = "groups", granted: Any = None) -> SignIn:
    addresses = ("https://id.example.com", "tidewise", "secret", "https://shop.example.com")
    return SignIn(*addresses, scopes="openid", claim=claim, granted=granted or GRANTED, session_ms=1)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["staff"], Scope.READ),
        (["staff", "it"], Scope.ADMIN),
        ("owners", Scope.ADMIN),
        (["own"], None),
        ("", None),
        ([], None),
        ([7], None),
    ],
)
def test_the_highest_scope_of_the_claims_values_counts(groups: Any, expected: Scope | None) -> None:
    assert sign_in().scope_of({"sub": "1", "groups": groups}) is expected


def test_without_the_claim_nothing_is_granted() -> None:
    assert sign_in().scope_of({"sub": "1"}) is None


def test_everybody_may_be_let_in() -> None:
    granted = {Scope.READ: ("*",), Scope.ADMIN: ("it",)}
    assert sign_in(granted=granted).scope_of({"sub": "1"}) is Scope.READ
    assert sign_in(granted=granted).scope_of({"sub": "1", "groups": ["it"]}) is Scope.ADMIN


def test_an_address_counts_only_if_it_is_verified() -> None:
    by_email = sign_in(claim="email", granted={Scope.ADMIN: ("ann@example.com",)})
    claims = {"sub": "1", "email": "ann@example.com"}
    assert by_email.scope_of({**claims, "email_verified": True}) is Scope.ADMIN
    assert by_email.scope_of({**claims, "email_verified": False}) is None
    assert by_email.scope_of(claims) is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"email": "ann@example.com", "preferred_username": "ann", "sub": "1"}, "ann@example.com"),
        ({"email": "", "preferred_username": "ann", "sub": "1"}, "ann"),
        ({"sub": "1"}, "1"),
        ({"email": "boss@example.com", "email_verified": False, "preferred_username": "eve", "sub": "1"}, "eve"),
    ],
)
def test_a_person_is_named_as_an_operator_knows_them(claims: dict[str, object], expected: str) -> None:
    assert person_of(claims) == expected


def test_browsers_are_sent_back_below_the_public_address() -> None:
    assert sign_in().redirect_url == "https://shop.example.com/sign-in/callback"
    assert sign_in().is_https
