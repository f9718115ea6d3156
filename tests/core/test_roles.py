"""Who calls the API (docs/dev/proofs.md D30): what App Service Authentication says, and only where it stands before the app."""

import base64

import pytest

from linker.core.roles import KEY_HOLDER, Caller, Role, authentication_is_on, identify
from tests.fakes.principal import LONG_ROLE, headers


@pytest.mark.parametrize(
    ("given", "role"),
    [
        pytest.param(headers(("roles", "viewer")), Role.VIEWER, id="the short name of the claim"),
        pytest.param(headers((LONG_ROLE, "operator")), Role.OPERATOR, id="the long name"),
        pytest.param(headers(("roles", "viewer"), ("roles", "admin")), Role.ADMIN, id="the strongest of several"),
        pytest.param(headers(("roles", "Operator")), Role.OPERATOR, id="in any case"),
        pytest.param(headers(("name", "admin")), None, id="a name is no role"),
        pytest.param(headers(("roles", "owner")), None, id="an unknown role is none"),
        pytest.param(headers(), None, id="signed in without a role"),
        pytest.param(headers(("roles", "admin"), provider="github"), None, id="another provider's claim is none"),
    ],
)
def test_who_signed_in_has_the_app_role_that_entra_gave(given: dict[str, str], role: Role | None) -> None:
    assert identify(given, authenticated=True) == Caller("ada@contoso.com", "7c0f", role)


@pytest.mark.parametrize(
    "principal", ["", "no base64!", base64.b64encode(b"no JSON").decode(), base64.b64encode(b"[]").decode(), "ä"]
)
def test_no_user_signed_in_without_a_header_that_can_be_read(principal: str) -> None:
    assert identify({"x-ms-client-principal": principal}, authenticated=True) is None


def test_an_application_without_a_name_is_shown_by_its_id() -> None:
    given = headers(("roles", "operator"))
    del given["x-ms-client-principal-name"]
    assert identify(given, authenticated=True) == Caller("7c0f", "7c0f", Role.OPERATOR)


def test_a_forged_header_is_ignored_where_no_user_signs_in() -> None:
    assert identify(headers(("roles", "viewer")), authenticated=False) == KEY_HOLDER


@pytest.mark.parametrize("needed", Role)
@pytest.mark.parametrize("held", [None, *Role])
def test_each_role_may_do_what_those_before_it_may(held: Role | None, needed: Role) -> None:
    order = [None, Role.VIEWER, Role.OPERATOR, Role.ADMIN]
    assert Caller("ada", role=held).may(needed) == (order.index(held) >= order.index(needed))


@pytest.mark.parametrize(
    ("value", "on"), [("True", True), ("true", True), ("1", True), ("False", False), ("", False), (None, False)]
)
def test_the_platform_says_whether_people_sign_in(value: str | None, on: bool) -> None:
    environment = {} if value is None else {"WEBSITE_AUTH_ENABLED": value}
    assert authentication_is_on(environment) is on
