"""What a refusal of one row is about: what it names decides, then its code; no word of a language does."""

import pytest

from linker.core.errors import DataverseError
from linker.core.records import refusal

ROW = "11111111-1111-1111-1111-11111111111a"
PROFILE = "22222222-2222-2222-2222-222222222222"
USER = "33333333-3333-3333-3333-333333333333"


@pytest.mark.parametrize(
    ("status", "code", "text", "issue"),
    [
        pytest.param(404, "0x80040217", f"Contact With Id = {ROW} Does Not Exist", "RowNotFound", id="row"),
        pytest.param(
            404, "0x80040217", f"Profil mit ID = {PROFILE} fehlt", "ProfileVanished", id="profile, other language"
        ),
        pytest.param(404, "", f"Kontakt mit ID = {ROW.upper()} fehlt", "RowNotFound", id="row, no code, other case"),
        pytest.param(400, "0x80060891", "A record does not exist", "ProfileVanished", id="target, nothing named"),
        pytest.param(
            400, "0x80060891", f"contact {ROW} does not exist", "RowNotFound", id="code of a target, row named"
        ),
        pytest.param(404, "0x80040217", "Nicht vorhanden", "RowNotFound", id="nothing named"),
        pytest.param(403, "0x80040220", f"{USER} has no WriteAccess for {ROW}", "AccessDenied", id="access to the row"),
        pytest.param(
            403, "0x80048306", f"{USER} has no WriteAccess for {ROW}", "AccessDenied", id="access, newer code"
        ),
        pytest.param(403, "0x80048405", f"Zugriff auf {ROW} verweigert", "AccessDenied", id="access, other language"),
        pytest.param(
            403,
            "0x80040220",
            f"{USER} has no AppendToAccess for {PROFILE}",
            "ProfileDenied",
            id="access to the profile",
        ),
        pytest.param(
            403, "0x80048306", f"{USER} darf {PROFILE} nicht lesen", "ProfileDenied", id="the profile, other language"
        ),
        pytest.param(403, "0x80048306", "Kein Zugriff", "AccessDenied", id="access, nothing named"),
        pytest.param(400, "0x80040265", f"No, {PROFILE}!", "PluginRefused", id="a plug-in that names a profile"),
        pytest.param(400, "0x80044331", "zu lang", "Refused", id="a value"),
    ],
)
def test_a_refusal_is_about_what_it_names(status: int, code: str, text: str, issue: str) -> None:
    assert refusal("contact", ROW, DataverseError(status, code, text), PROFILE).code == issue
