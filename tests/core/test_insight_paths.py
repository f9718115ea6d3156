"""Which columns and tables a row reaches, derived from metadata; and measures in texts of keys and values."""

from typing import Any

import pytest

from linker.core.insight_paths import (
    MEASURES,
    Column,
    RelatedTable,
    columns_in,
    find_related_in,
    lookups_in,
    measures_in,
    values_in,
)
from linker.core.names import LOOKUP_SCHEMA_NAME


def attribute(name: str, **facts: Any) -> dict[str, Any]:
    plain = {"LogicalName": name, "AttributeType": "String", "AttributeOf": None, "IsPrimaryId": False}
    return plain | {"IsValidForRead": True, "DisplayName": {"UserLocalizedLabel": None}} | facts


def definition(name: str, *, customer: bool = False) -> dict[str, Any]:
    label = {"UserLocalizedLabel": {"Label": f"All of {name}"}}
    carried = [{"LogicalName": "msdynci_customerid"}] if customer else []
    return {"LogicalName": name, "EntitySetName": f"{name}s", "DisplayCollectionName": label, "Attributes": carried}


def pointing(table: str, column: str) -> dict[str, str]:
    return {"ReferencingEntity": table, "ReferencingAttribute": column}


def test_columns_come_by_name_without_the_key_and_those_that_accompany_another() -> None:
    rows = [
        attribute("msdynci_b", DisplayName={"UserLocalizedLabel": {"Label": "Tier"}}),
        attribute("new_a"),
        attribute("createdon"),
        attribute("msdynci_bname", AttributeOf="msdynci_b"),
        attribute("msdynci_secret", IsValidForRead=False),
        attribute("msdynci_profileid", IsPrimaryId=True),
    ]
    made = (Column("msdynci_b", "Tier", "String"), Column("new_a", "new_a", "String"))
    found = columns_in(rows)
    assert found == (Column("createdon", "createdon", "String"), *made)
    assert tuple(column for column in found if column.is_made) == made


def test_related_tables_point_at_the_profile_or_carry_a_customer_id() -> None:
    tables = [definition("msdynci_visit", customer=True), definition("msdynci_issue"), definition("msdynci_other")]
    found = find_related_in(tables, {"msdynci_issue": "msdynci_profile"})
    assert found == (
        RelatedTable("msdynci_issue", "All of msdynci_issue", "msdynci_issues", "msdynci_profile"),
        RelatedTable("msdynci_visit", "All of msdynci_visit", "msdynci_visits", has_customer=True),
    )


@pytest.mark.parametrize(
    "table", ["msdynci_customerprofile", "msdynci_alternatekey", "msdynci_customermeasure", "new_x"]
)
def test_tables_with_a_meaning_of_their_own_and_those_of_others_are_not_related(table: str) -> None:
    assert find_related_in([definition(table, customer=True)], {table: "x"}) == ()


def test_our_own_link_is_not_a_lookup_of_a_measure_and_of_several_the_first_counts() -> None:
    found = lookups_in([pointing("lead", LOOKUP_SCHEMA_NAME), pointing("issue", "b"), pointing("issue", "a")])
    assert found == {"issue": "a"}


def test_a_lookup_is_read_by_a_name_of_its_own_and_has_the_formatted_text() -> None:
    column = Column("new_ownerid", "Owner", "Owner")
    row = {"_new_ownerid_value": "1", "_new_ownerid_value@OData.Community.Display.V1.FormattedValue": "Ada"}
    (value,) = values_in(row, [column])
    assert (value.name, value.value, value.text) == ("new_ownerid", "1", "Ada")


@pytest.mark.parametrize("kind", ["Virtual", "ManagedProperty", "EntityName", "PartyList"])
def test_a_column_of_another_kind_is_not_readable(kind: str) -> None:
    assert not Column("msdynci_x", "x", kind).is_readable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"Score": 7, "Rate": 0.5, "Tier": "gold", "None": null}',
                     {"Score": 7, "Rate": 0.5, "Tier": "gold", "None": None}, id="an object"),
        pytest.param('[{"key": "Score", "value": 7}]', {"Score": 7}, id="a list of keys and values"),
        pytest.param('[{"name": "Score", "value": 7}, {"value": 1}, 3]', {"Score": 7}, id="a list of names and values"),
        pytest.param('{"Score": {"month": 1}}', {"Score": '{"month": 1}'}, id="a value that is none"),
        pytest.param("Score=7", {MEASURES: "Score=7"}, id="another text"),
        pytest.param("7", {MEASURES: "7"}, id="a number alone"),
        pytest.param("{}", {MEASURES: "{}"}, id="nothing in it"),
    ],
)  # fmt: skip
def test_measures_in_a_text(text: str, expected: dict[str, object]) -> None:
    assert {value.name: value.value for value in measures_in(text)} == expected
