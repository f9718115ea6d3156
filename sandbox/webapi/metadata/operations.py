"""The actions and functions of the Web API as `$metadata` declares them: Microsoft's reference of both."""

from dataclasses import dataclass
from typing import Final

_OWN: Final = "mscrm."
type Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """An action or a function. Parameters and return type are names of CSDL; "" returns nothing."""

    name: str
    parameters: Parameters = ()
    returns: str = ""
    bound: bool = False
    """Whether the first parameter is what it is called on."""


_NAMES: Final = (("PropertyName", "Edm.String"),)
_ONE: Final = (*_NAMES, ("PropertyValues", "Collection(Edm.String)"))
QUERY_FUNCTIONS: Final = (
    *(Operation(name, _ONE, "Edm.Boolean") for name in ("In", "NotIn", "Between", "NotBetween")),
    *(Operation(name, _NAMES, "Edm.Boolean") for name in ("EqualUserId", "NotEqualUserId")),
)
"""Functions for use in `$filter`."""

FUNCTIONS: Final = (
    Operation("WhoAmI", (), f"{_OWN}WhoAmIResponse"),
    Operation("RetrieveVersion", (), f"{_OWN}RetrieveVersionResponse"),
    Operation("RetrieveAvailableLanguages", (), f"{_OWN}RetrieveAvailableLanguagesResponse"),
    Operation("RetrieveProvisionedLanguages", (), f"{_OWN}RetrieveProvisionedLanguagesResponse"),
    Operation(
        "RetrieveCurrentOrganization",
        (("AccessType", f"{_OWN}EndpointAccessType"),),
        f"{_OWN}RetrieveCurrentOrganizationResponse",
    ),
    Operation(
        "RetrieveTotalRecordCount",
        (("EntityNames", "Collection(Edm.String)"),),
        f"{_OWN}RetrieveTotalRecordCountResponse",
    ),
    Operation(
        "GetValidReferencingEntities",
        (("ReferencedEntityName", "Edm.String"),),
        f"{_OWN}GetValidReferencingEntitiesResponse",
    ),
    Operation(
        "GetValidReferencedEntities",
        (("ReferencingEntityName", "Edm.String"),),
        f"{_OWN}GetValidReferencedEntitiesResponse",
    ),
    Operation(
        "ExecuteCosmosSqlQuery",
        (
            ("QueryText", "Edm.String"),
            ("EntityLogicalName", "Edm.String"),
            ("QueryParameters", f"{_OWN}ParameterCollection"),
            ("PageSize", "Edm.Int64"),
            ("PagingCookie", "Edm.String"),
            ("PartitionId", "Edm.String"),
        ),
        f"{_OWN}crmbaseentity",
    ),
    Operation("RetrieveRolePrivilegesRole", (("RoleId", "Edm.Guid"),), f"{_OWN}RetrieveRolePrivilegesRoleResponse"),
)

ACTIONS: Final = (
    Operation(
        "CreateEntities", (("Entities", f"Collection({_OWN}crmmodelbaseentity)"),), f"{_OWN}CreateEntitiesResponse"
    ),
    Operation("PublishXml", (("ParameterXml", "Edm.String"),)),
    Operation("PublishAllXml"),
    Operation("CanBeReferenced", (("EntityName", "Edm.String"),), f"{_OWN}CanBeReferencedResponse"),
    Operation("CanBeReferencing", (("EntityName", "Edm.String"),), f"{_OWN}CanBeReferencingResponse"),
    Operation("BulkDelete", (("JobName", "Edm.String"),), f"{_OWN}BulkDeleteResponse"),
)

COMPLEX_TYPES: Final[dict[str, Parameters]] = {
    "WhoAmIResponse": (("BusinessUnitId", "Edm.Guid"), ("UserId", "Edm.Guid"), ("OrganizationId", "Edm.Guid")),
    "RetrieveVersionResponse": (("Version", "Edm.String"),),
    "RetrieveAvailableLanguagesResponse": (("LocaleIds", "Collection(Edm.Int32)"),),
    "RetrieveProvisionedLanguagesResponse": (("RetrieveProvisionedLanguages", "Collection(Edm.Int32)"),),
    "ParameterCollection": (("Keys", "Collection(Edm.String)"), ("Values", f"Collection({_OWN}Object)")),
    "Object": (("Type", "Edm.String"), ("Value", "Edm.String")),
    "RetrieveCurrentOrganizationResponse": (("Detail", f"{_OWN}OrganizationDetail"),),
    "OrganizationDetail": (
        ("OrganizationId", "Edm.Guid"),
        ("FriendlyName", "Edm.String"),
        ("OrganizationVersion", "Edm.String"),
        ("EnvironmentId", "Edm.String"),
        ("Geo", "Edm.String"),
        ("UniqueName", "Edm.String"),
        ("UrlName", "Edm.String"),
    ),
    "RetrieveTotalRecordCountResponse": (("EntityRecordCountCollection", f"{_OWN}EntityRecordCountCollection"),),
    "EntityRecordCountCollection": (
        ("Count", "Edm.Int32"),
        ("IsReadOnly", "Edm.Boolean"),
        ("Keys", "Collection(Edm.String)"),
        ("Values", "Collection(Edm.Int64)"),
    ),
    "GetValidReferencingEntitiesResponse": (("EntityNames", "Collection(Edm.String)"),),
    "GetValidReferencedEntitiesResponse": (("EntityNames", "Collection(Edm.String)"),),
    "RetrieveRolePrivilegesRoleResponse": (("RolePrivileges", f"Collection({_OWN}RolePrivilege)"),),
    "RetrieveUserPrivilegesResponse": (("RolePrivileges", f"Collection({_OWN}RolePrivilege)"),),
    "RetrievePrincipalAttributePrivilegesResponse": (("AttributePrivileges", f"Collection({_OWN}AttributePrivilege)"),),
    "AttributePrivilege": (
        ("AttributeId", "Edm.Guid"),
        *((name, "Edm.Int32") for name in ("CanCreate", "CanRead", "CanUpdate")),
    ),
    "RolePrivilege": (
        ("Depth", f"{_OWN}PrivilegeDepth"),
        ("PrivilegeId", "Edm.Guid"),
        ("BusinessUnitId", "Edm.Guid"),
        ("PrivilegeName", "Edm.String"),
    ),
    "CreateEntitiesResponse": (("EntityIds", "Collection(Edm.Guid)"),),
    "CanBeReferencedResponse": (("CanBeReferenced", "Edm.Boolean"),),
    "CanBeReferencingResponse": (("CanBeReferencing", "Edm.Boolean"),),
    "BulkDeleteResponse": (("JobId", "Edm.Guid"),),
    "CreateMultipleResponse": (("Ids", "Collection(Edm.Guid)"),),
    "BooleanManagedProperty": (
        ("Value", "Edm.Boolean"),
        ("CanBeChanged", "Edm.Boolean"),
        ("ManagedPropertyLogicalName", "Edm.String"),
    ),
}
"""What operations and columns return, by name."""

ENUM_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "EndpointAccessType": ("Default", "Internet", "Intranet"),
    "PrivilegeDepth": ("Basic", "Local", "Deep", "Global"),
}
"""Their members count from 0."""


def bound_actions(table: str, messages: tuple[str, ...]) -> tuple[Operation, ...]:
    """Return the bulk actions of a table, bound to its collection."""
    rows = f"Collection({_OWN}{table})"
    parameters = (("entityset", rows), ("Targets", rows))
    upserts = ("UpsertMultiple",) if "UpdateMultiple" in messages else ()
    bulk = (*(name for name in messages if name.endswith("Multiple")), *upserts)
    returned = {"CreateMultiple": f"{_OWN}CreateMultipleResponse"}
    return tuple(Operation(name, parameters, returned.get(name, ""), bound=True) for name in bulk)
