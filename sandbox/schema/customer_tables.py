"""Customers and their business, with the names of Microsoft's table reference."""

from collections.abc import Iterator
from typing import Final

from sandbox.schema.column_types import Column, Option
from sandbox.schema.columns import T, choice, lookup, text, texts
from sandbox.schema.definition import define_table
from sandbox.schema.model import Table

_STATE: Final = (
    Column("statecode", T.STATE, "StateCode", options=(Option(0, "Active"), Option(1, "Inactive"))),
    Column("statuscode", T.STATUS, "StatusCode", options=(Option(1, "Active"), Option(2, "Inactive"))),
)
_CATEGORIES: Final = (Option(1, "Preferred Customer"), Option(2, "Standard"))
_TASK_STATUSES: Final = tuple(
    Option(value, label)
    for value, label in enumerate(
        ("Not Started", "In Progress", "Waiting on someone else", "Completed", "Canceled", "Deferred"), 2
    )
)
_OPPORTUNITY_STATUSES: Final = (Option(1, "In Progress"), Option(2, "On Hold"), Option(3, "Won"), Option(4, "Canceled"))
_CASE_STATUSES: Final = (Option(1, "In Progress"), Option(2, "On Hold"), Option(5, "Problem Solved"))
_CASE_PRIORITIES: Final = (Option(1, "High"), Option(2, "Normal"), Option(3, "Low"))
_ADDRESS: Final = texts(
    "address1_line1", "address1_line2", "address1_city", "address1_postalcode", "address1_stateorprovince"
)
_PERSON: Final = (
    Column("firstname", schema_name="FirstName", display_name="First Name", max_length=50),
    Column("lastname", schema_name="LastName", display_name="Last Name", max_length=50),
    Column(
        "fullname",
        schema_name="FullName",
        display_name="Full Name",
        max_length=160,
        read_only=True,
        joined=("firstname", "lastname"),
    ),
    Column("emailaddress1", schema_name="EMailAddress1", display_name="Email", max_length=100, indexed=True),
    Column("telephone1", schema_name="Telephone1", display_name="Business Phone", max_length=50),
    Column("ownerid", T.LOOKUP, "OwnerId", "Owner", targets=("systemuser",)),
    *_ADDRESS,
    *_STATE,
)


def customer_tables() -> Iterator[Table]:
    """Yield the tables that Microsoft links, a case, and the task of Microsoft's examples."""
    yield _account()
    yield _contact()
    yield _lead()
    yield _opportunity()
    yield _incident()
    yield _task()


def _account() -> Table:
    return define_table(
        "account",
        [
            Column("name", schema_name="Name", display_name="Account Name", max_length=160, indexed=True),
            Column("accountnumber", schema_name="AccountNumber", max_length=20, indexed=True),
            Column("revenue", T.MONEY, "Revenue"),
            Column("numberofemployees", T.INTEGER, "NumberOfEmployees"),
            Column("description", T.MEMO, "Description", max_length=2000),
            choice("industrycode", "Accounting", "Agriculture", "Building Supply"),
            Column("accountcategorycode", T.PICKLIST, "AccountCategoryCode", options=_CATEGORIES),
            Column("creditonhold", T.BOOLEAN, "CreditOnHold"),
            Column("creditlimit", T.MONEY, "CreditLimit"),
            Column("address1_latitude", T.DOUBLE, "Address1_Latitude"),
            Column("address1_longitude", T.DOUBLE, "Address1_Longitude"),
            *_ADDRESS,
            *texts("address1_country", "websiteurl", "fax"),
            lookup("primarycontactid", "contact", schema_name="PrimaryContactId"),
            lookup("parentaccountid", "account", schema_name="ParentAccountId"),
            *texts("emailaddress1", "telephone1"),
            lookup("originatingleadid", "lead", schema_name="OriginatingLeadId"),
            Column("lastonholdtime", T.DATETIME, "LastOnHoldTime"),
            lookup("ownerid", "systemuser", schema_name="OwnerId"),
            *_STATE,
        ],
        entity_set="accounts",
        schema_name="Account",
        display_name="Account",
        display_collection_name="Accounts",
        object_type_code=1,
    )


def _contact() -> Table:
    return define_table(
        "contact",
        [
            *_PERSON,
            text("mobilephone", "MobilePhone", length=50),
            text("middlename", "MiddleName", length=50),
            text("salutation", "Salutation", length=100),
            text("department", "Department", length=100),
            text("emailaddress2", "EMailAddress2", length=100),
            *texts("address1_country", "websiteurl"),
            Column("birthdate", T.DATE, "BirthDate"),
            text("governmentid", "GovernmentId", length=50),
            text("jobtitle", "JobTitle", length=100),
            Column("description", T.MEMO, "Description", max_length=2000),
            Column("gendercode", T.PICKLIST, "GenderCode", options=(Option(1, "Male"), Option(2, "Female"))),
            Column("donotemail", T.BOOLEAN, "DoNotEMail"),
            Column("creditlimit", T.MONEY, "CreditLimit"),
            lookup("parentcustomerid", "account", "contact", schema_name="ParentCustomerId"),
            lookup("originatingleadid", "lead", schema_name="OriginatingLeadId"),
            Column("lastonholdtime", T.DATETIME, "LastOnHoldTime"),
        ],
        entity_set="contacts",
        primary_name="fullname",
        schema_name="Contact",
        display_name="Contact",
        display_collection_name="Contacts",
        object_type_code=2,
    )


def _lead() -> Table:
    return define_table(
        "lead",
        [*_PERSON, text("subject", "Subject", length=300), text("companyname", "CompanyName", length=100)],
        entity_set="leads",
        primary_name="fullname",
        schema_name="Lead",
        display_name="Lead",
        display_collection_name="Leads",
        object_type_code=4,
    )


def _opportunity() -> Table:
    return define_table(
        "opportunity",
        [
            text("name", "Name", length=300),
            Column("description", T.MEMO, "Description", max_length=2000),
            text("emailaddress", "EmailAddress", length=100),
            Column("estimatedvalue", T.MONEY, "EstimatedValue"),
            Column("estimatedclosedate", T.DATE, "EstimatedCloseDate"),
            Column("closeprobability", T.INTEGER, "CloseProbability"),
            lookup("customerid", "account", "contact", schema_name="CustomerId"),
            lookup("parentaccountid", "account", schema_name="ParentAccountId"),
            lookup("parentcontactid", "contact", schema_name="ParentContactId"),
            lookup("originatingleadid", "lead", schema_name="OriginatingLeadId"),
            lookup("ownerid", "systemuser", schema_name="OwnerId"),
            choice("statecode", "Open", "Won", "Lost", kind=T.STATE),
            Column("statuscode", T.STATUS, "StatusCode", options=_OPPORTUNITY_STATUSES),
        ],
        entity_set="opportunities",
        schema_name="Opportunity",
        display_name="Opportunity",
        display_collection_name="Opportunities",
        object_type_code=3,
    )


def _incident() -> Table:
    return define_table(
        "incident",
        [
            text("title", "Title", length=200),
            text("ticketnumber", "TicketNumber", length=100),
            Column("description", T.MEMO, "Description", max_length=2000),
            Column("prioritycode", T.PICKLIST, "PriorityCode", options=_CASE_PRIORITIES),
            lookup("customerid", "account", "contact", schema_name="CustomerId"),
            lookup("primarycontactid", "contact", schema_name="PrimaryContactId"),
            lookup("ownerid", "systemuser", schema_name="OwnerId"),
            choice("statecode", "Active", "Resolved", "Canceled", kind=T.STATE),
            Column("statuscode", T.STATUS, "StatusCode", options=_CASE_STATUSES),
        ],
        entity_set="incidents",
        primary_name="title",
        schema_name="Incident",
        display_name="Case",
        display_collection_name="Cases",
        object_type_code=112,
    )


def _task() -> Table:
    return define_table(
        "task",
        [
            text("subject", "Subject", length=200),
            Column("description", T.MEMO, "Description", max_length=2000),
            Column("scheduledend", T.DATETIME, "ScheduledEnd", "Due Date"),
            choice("prioritycode", "Low", "Normal", "High"),
            lookup("regardingobjectid", "account", "contact", "lead", schema_name="RegardingObjectId"),
            lookup("ownerid", "systemuser", schema_name="OwnerId"),
            choice("statecode", "Open", "Completed", "Canceled", kind=T.STATE),
            Column("statuscode", T.STATUS, "StatusCode", options=_TASK_STATUSES),
        ],
        entity_set="tasks",
        primary_id="activityid",
        primary_name="subject",
        schema_name="Task",
        display_name="Task",
        display_collection_name="Tasks",
        object_type_code=4212,
    )
