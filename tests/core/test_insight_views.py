"""What a view shows: columns by the names that people give, joins over lookups, and refusals with a suggestion."""

from xml.etree import ElementTree as ET

import pytest

from linker.core.capabilities import TableKind
from linker.core.errors import ConfigurationError
from linker.core.insight_paths import Column, RelatedTable
from linker.core.insight_views import MAX_JOINED, Columns, ListTable, View, check_kind, design, same_xml

LEAD = ListTable("lead", "leads", "leadid", "fullname", "Leads", 4)


def texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, name, "String") for name in names)


def related(name: str, lookup: str = "msdynci_profile") -> RelatedTable:
    return RelatedTable(name, name, f"{name}s", lookup, has_customer=True)


COLUMNS = Columns(
    LEAD,
    texts("fullname", "companyname"),
    (*texts("msdynci_loyaltytier", "msdynci_both"), Column("msdynci_photo", "Photo", "Virtual")),
    {
        related("msdynci_issue"): texts("msdynci_lastmonth", "msdynci_name", "msdynci_both"),
        related("msdynci_claim"): texts("msdynci_days", "msdynci_name"),
        related("msdynci_visit", lookup=""): texts("msdynci_visits"),
    },
)


def designed(*names: str, name: str = "") -> View:
    return design(COLUMNS, names, name)


def xml(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - made by the code under test


def cells(view: View) -> list[str]:
    return [cell.attrib["name"] for cell in xml(view.layoutxml).iter("cell")]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        pytest.param("msdynci_loyaltytier", "profile.msdynci_loyaltytier", id="of the profile"),
        pytest.param(" MSDYNCI_LoyaltyTier", "profile.msdynci_loyaltytier", id="in any case"),
        pytest.param("msdynci_issue.msdynci_lastmonth", "msdynci_issue.msdynci_lastmonth", id="of a related table"),
        pytest.param("msdynci_lastmonth", "msdynci_issue.msdynci_lastmonth", id="of the only table that has it"),
        pytest.param("msdynci_both", "profile.msdynci_both", id="the profile comes first"),
        pytest.param("msdynci_issue.msdynci_both", "msdynci_issue.msdynci_both", id="with its table it is another one"),
        pytest.param("lead.companyname", "companyname", id="of the table itself"),
    ],
)
def test_a_column_is_found_by_the_name_that_people_give(name: str, cell: str) -> None:
    assert cells(designed(name)) == ["fullname", cell]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("msdynci_loyaltytear", "Did you mean msdynci_loyaltytier", id="a slip"),
        pytest.param("msdynci_name", "Did you mean msdynci_", id="two tables have it"),
        pytest.param("zzz", "There are: lead.companyname", id="nothing like it"),
        pytest.param("msdynci_photo", "can show no column 'msdynci_photo'", id="a column that no list can show"),
        pytest.param("msdynci_visit.msdynci_visits", "no lookup to the profile for a list to join", id="no lookup"),
        pytest.param(
            "msdynci_customermeasure.Score", "all measures of a customer in one text", id="measures as one text"
        ),
    ],
)
def test_what_cannot_be_shown_is_refused_with_advice(name: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        designed("msdynci_loyaltytier", name)
    assert "Nothing was written." in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param(TableKind.STANDARD, None, id="standard"),
        pytest.param(TableKind.ELASTIC, "an elastic table", id="elastic"),
        pytest.param(TableKind.VIRTUAL, "a virtual table", id="virtual"),
    ],
)
def test_a_profile_table_that_lists_cannot_join_is_refused_with_what_works_there(
    kind: TableKind, words: str | None
) -> None:
    if words is None:
        check_kind(kind)
        return
    with pytest.raises(ConfigurationError, match=words) as refused:
        check_kind(kind)
    text = str(refused.value)
    assert text.startswith("Nothing was written")
    assert text.count(". ") < 3  # at most three sentences
    for offered in ("quick view form", "cannot remove", "_msdynci_lookupfield_customerprofile_value eq"):
        assert offered in text


def test_a_view_needs_a_column() -> None:
    with pytest.raises(ConfigurationError, match="at least one column"):
        designed()


def test_tables_are_joined_by_the_link_and_by_their_own_lookups_and_rows_without_a_partner_stay() -> None:
    view = designed("msdynci_loyaltytier", "msdynci_lastmonth", "msdynci_days", "msdynci_loyaltytier")
    fetch = xml(view.fetchxml)
    (profile,) = fetch.findall("entity/link-entity")
    joined = profile.findall("link-entity")
    assert [(link.get("name"), link.get("from"), link.get("to")) for link in (profile, *joined)] == [
        ("msdynci_customerprofile", "msdynci_customerprofileid", "msdynci_lookupfield_customerprofile"),
        ("msdynci_issue", "msdynci_profile", "msdynci_customerprofileid"),
        ("msdynci_claim", "msdynci_profile", "msdynci_customerprofileid"),
    ]
    assert {link.get("link-type") for link in (profile, *joined)} == {"outer"}
    assert [one.get("name") for one in fetch.findall("entity/attribute")] == ["leadid", "fullname"]
    assert [one.get("name") for one in profile.findall("attribute")] == ["msdynci_loyaltytier"]
    assert view.joined == ("msdynci_issue", "msdynci_claim")


def test_the_layout_names_the_table_and_sorts_by_its_own_columns_alone() -> None:
    grid = xml(designed("msdynci_loyaltytier", "lead.companyname").layoutxml)
    assert (grid.get("object"), grid.get("jump"), grid.findall("row")[0].get("id")) == ("4", "fullname", "leadid")
    unsorted = [cell.get("name") for cell in grid.iter("cell") if cell.get("disableSorting")]
    assert unsorted == ["profile.msdynci_loyaltytier"]


def test_a_view_is_known_by_its_table_and_name() -> None:
    first, again = designed("msdynci_loyaltytier"), designed("msdynci_days")
    assert (first.id, first.name) == (again.id, "Leads with customer profile")
    contact = ListTable("contact", "contacts", "contactid", "fullname", "Contacts", 2)
    elsewhere = design(Columns(contact, (), texts("msdynci_x"), {}), ["msdynci_x"], first.name)
    assert len({first.id, designed("msdynci_days", name="Others").id, elsewhere.id}) == 3


def test_what_metadata_says_stays_inside_its_attribute() -> None:
    odd = ListTable("lead", "leads", "leadid", 'a"/><x', "Leads", 4)
    view = design(Columns(odd, (), texts("msdynci_x"), {}), ["msdynci_x"])
    assert xml(view.fetchxml).findall(".//x") == []


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param("<a  y='2' x='1'><b></b>\n</a>", True, id="spelled otherwise"),
        pytest.param('<a x="1" y="3"><b/></a>', False, id="another value"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_xml_is_compared_by_what_it_says(other: str, same: bool) -> None:
    assert same_xml('<a x="1" y="2"><b/></a>', other) is same


def test_more_tables_than_a_query_may_join_are_refused() -> None:
    tables = {related(f"msdynci_t{n}"): texts(f"msdynci_c{n}") for n in range(MAX_JOINED + 1)}
    columns = Columns(LEAD, (), (), tables)
    names = [f"msdynci_c{n}" for n in range(MAX_JOINED + 1)]
    assert len(design(columns, names[1:]).joined) == MAX_JOINED
    with pytest.raises(ConfigurationError, match="at most 14 tables"):
        design(columns, names)
