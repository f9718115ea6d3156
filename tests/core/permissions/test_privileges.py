"""Which privileges are needed, which are missing, and how that is said (docs/dev/proofs.md G25)."""

import pytest

from linker.core.errors import DataverseError
from linker.core.permissions import privileges
from linker.core.permissions.privileges import (
    ACT_FOR_OTHERS,
    BYPASS,
    UNNAMED,
    Depth,
    Missing,
    Need,
    Privilege,
    Right,
    complaint,
    find_refused,
    missing,
    share_privileges,
)

ID = "11111111-1111-1111-1111-111111111111"
WRITE = Need("contact", Right.WRITE, "write its lookup")
CATALOGUE = {("contact", "Write"): Privilege("1", "prvWriteContact")}


@pytest.mark.parametrize(
    ("held", "level"),
    [
        pytest.param({}, "none", id="not held"),
        pytest.param({"prvwritecontact": Depth.BASIC}, "user", id="own rows"),
        pytest.param({"prvwritecontact": Depth.LOCAL}, "business unit", id="of the business unit"),
        pytest.param({"prvwritecontact": Depth.DEEP}, "parent: child business units", id="and those below"),
        pytest.param({"prvwritecontact": Depth.GLOBAL}, None, id="of the organization"),
    ],
)
def test_only_the_organization_level_is_enough(held: dict[str, Depth], level: str | None) -> None:
    expected = (Missing("prvWriteContact", "contact", level, "write its lookup"),) if level else ()
    assert missing([WRITE], CATALOGUE, held) == expected


def test_a_right_that_the_table_does_not_define_is_not_needed() -> None:
    assert missing([Need("contact", "Dream", "dream")], CATALOGUE, {}) == ()


def test_a_privilege_of_no_table_is_asked_for_by_its_name() -> None:
    need = Need("", BYPASS, "bypass")
    assert [found.privilege for found in missing([need], {}, {})] == [BYPASS]
    assert missing([need], {}, {BYPASS.lower(): Depth.GLOBAL}) == ()


@pytest.mark.parametrize(
    ("settings", "privilege"),
    [
        pytest.param({"bypass": True}, BYPASS, id="bypass"),
        pytest.param({"impersonate": True}, ACT_FOR_OTHERS, id="impersonation"),
        pytest.param({"solution": True}, "Read", id="solution"),
    ],
)
def test_a_setting_asks_for_its_privilege(settings: dict[str, bool], privilege: str) -> None:
    off = {"bypass": False, "impersonate": False, "solution": False}
    assert privileges.of_settings(**off) == ()
    assert [need.right for need in privileges.of_settings(**off | settings)] == [privilege]


def test_the_complaint_names_privilege_table_level_purpose_and_what_to_do() -> None:
    lacking = missing([WRITE], CATALOGUE, {})
    assert complaint(lacking, "# linker") == (
        "The service account # linker lacks prvWriteContact on table 'contact' at level organization (held: none), needed to "
        "write its lookup. Run 'python -m linker setup' or add it to its role; docs/identity.md lists what is needed."
    )
    assert complaint((), "# linker") == ""


ROLE, LEVEL, PROFILE = "add it to its role", "shared with it", "column security profile"


@pytest.mark.parametrize(
    ("missing_one", "advised"),
    [
        pytest.param(Missing("prvWriteContact", "contact", "none", "write"), {ROLE}, id="not held"),
        pytest.param(Missing("prvWriteContact", "contact", "user", "write"), {ROLE, LEVEL}, id="own rows"),
        pytest.param(Missing("prvWriteContact", "contact", "business unit", "write"), {ROLE, LEVEL}, id="unit"),
        pytest.param(
            Missing("prvWriteContact", "contact", "parent: child business units", "write"), {ROLE, LEVEL}, id="children"
        ),
        pytest.param(Missing(BYPASS, "", "none", "bypass"), {ROLE}, id="of no table"),
        pytest.param(
            Missing("read permission", "contact", "none", "read", column="jobtitle"), {PROFILE}, id="a secured column"
        ),
    ],
)
def test_the_advice_fits_what_is_missing(missing_one: Missing, advised: set[str]) -> None:
    text = complaint([missing_one], "# linker")
    assert {part for part in (ROLE, LEVEL, PROFILE) if part in text} == advised


@pytest.mark.parametrize(
    ("text", "privilege"),
    [
        pytest.param(
            "Principal user (Id=1, type=8, ...) is missing prvReadContact privilege (Id=2) on OTC=2 for entity 'contact'.",
            "prvReadContact",
            id="a privilege",
        ),
        pytest.param("Dem Benutzer 1 fehlt das Privileg prvReadLead.", "prvReadLead", id="in another language"),
        pytest.param(
            f"Principal with id {ID} does not have WriteAccess right(s) for record with id {ID}", None, id="a row"
        ),
        pytest.param("Dem Benutzer fehlt eine Berechtigung", UNNAMED, id="no name, in another language"),
        pytest.param("", UNNAMED, id="nothing"),
    ],
)
def test_a_refusal_for_a_privilege_is_understood(text: str, privilege: str | None) -> None:
    found = find_refused(DataverseError(403, "0x80040220", text))
    assert (found and found.privilege) == privilege


@pytest.mark.parametrize(
    ("status", "code"), [(400, "0x0"), (404, "0x80040217"), (403, "0x80048306"), (403, ""), (500, "0x80040216")]
)
def test_a_refusal_without_words_is_about_a_privilege_by_its_code_alone(status: int, code: str) -> None:
    assert find_refused(DataverseError(status, code, "")) is None


def test_a_refusal_says_what_the_privilege_is_for_where_a_setting_asks_for_it() -> None:
    text = "Principal user (Id=1) is missing prvActOnBehalfOfAnotherUser privilege on OTC=0"
    found = find_refused(DataverseError(403, "0x80040220", text))
    assert found is not None
    assert found.purpose == "act for another user (LINKER_IMPERSONATE)"


def test_acting_for_a_user_leaves_what_both_have_at_the_lower_level() -> None:
    user = {"prvread": Depth.GLOBAL, "prvwrite": Depth.LOCAL, "prvmine": Depth.GLOBAL}
    app = {"prvread": Depth.BASIC, "prvwrite": Depth.GLOBAL, ACT_FOR_OTHERS.lower(): Depth.GLOBAL}
    assert share_privileges(user, app) == {
        "prvread": Depth.BASIC,
        "prvwrite": Depth.LOCAL,
        ACT_FOR_OTHERS.lower(): Depth.GLOBAL,
    }
