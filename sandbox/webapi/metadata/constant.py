"""Properties of definitions that are the same for everything here; readers may select any that Dataverse has.

Names are those of Microsoft's reference of EntityMetadata, AttributeMetadata and their derived types.
"""

from typing import Any, Final

type Document = dict[str, Any]


def managed(value: object, name: str) -> Document:
    """Return a managed property."""
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": name}


_OFF: Final = """
AutoCreateAccessTeams AutoRouteToOwnerQueue EnforceStateTransitions EntityHelpUrlEnabled HasActivities HasEmailAddresses
HasFeedback HasNotes IsActivityParty IsAIRUpdated IsArchivalEnabled IsAvailableOffline IsBPFEntity
IsBusinessProcessEnabled IsChildEntity IsDocumentManagementEnabled IsDocumentRecommendationsEnabled
IsEnabledForExternalChannels IsInteractionCentricEnabled IsKnowledgeManagementEnabled IsMSTeamsIntegrationEnabled
IsOneNoteIntegrationEnabled IsQuickCreateEnabled IsReadingPaneEnabled IsRetentionEnabled IsRetrieveAuditEnabled
IsRetrieveMultipleAuditEnabled IsSLAEnabled IsSolutionAware SyncToExternalSearchIndex UsesBusinessDataLabelTable
"""
_ON: Final = "CanTriggerWorkflow IsEnabledForCharts IsEnabledForTrace IsImportable IsStateModelAware"
_EMPTY: Final = """
DataProviderId DataSourceId EntityColor EntityHelpUrl ExternalCollectionName ExternalName HasChanged IconLargeName
IconMediumName IconSmallName IconVectorName MobileOfflineFilters OwnerId OwnerIdType OwningBusinessUnit
PrimaryImageAttribute RecurrenceBaseEntityLogicalName SettingOf
"""
_MANAGED: Final = """
CanBeInCustomEntityAssociation CanChangeHierarchicalRelationship CanCreateCharts CanCreateForms CanCreateViews
CanEnableSyncToExternalSearchIndex CanModifyAdditionalSettings IsConnectionsEnabled IsDuplicateDetectionEnabled
IsMailMergeEnabled IsMappable IsOfflineInMobileClient IsReadOnlyInMobileClient IsRenameable IsValidForQueue
IsVisibleInMobile IsVisibleInMobileClient
"""

TABLE: Final[Document] = {
    **dict.fromkeys(_OFF.split(), False),
    **dict.fromkeys(_ON.split(), True),
    **dict.fromkeys(_EMPTY.split()),
    **{name: managed(True, name.lower()) for name in _MANAGED.split()},
    "ActivityTypeMask": 0,
    "CreatedOn": "1900-01-01T00:00:00Z",
    "DaysSinceRecordLastModified": 0,
    "IntroducedVersion": "1.0.0.0",
    "ModifiedOn": "1900-01-01T00:00:00Z",
    "Settings": [],
}
"""Of every table."""

COLUMN: Final[Document] = {
    "AutoNumberFormat": "",
    "CanBeSecuredForCreate": False,
    "CanBeSecuredForRead": False,
    "CanBeSecuredForUpdate": False,
    "CanModifyAdditionalSettings": managed(True, "canmodifyadditionalsettings"),
    "ColumnNumber": 0,
    "CreatedOn": "1900-01-01T00:00:00Z",
    "DeprecatedVersion": None,
    "ExternalName": None,
    "HasChanged": None,
    "InheritsFrom": None,
    "IntroducedVersion": "1.0.0.0",
    "IsAuditEnabled": managed(False, "canmodifyauditsettings"),
    "IsDataSourceSecret": False,
    "IsFilterable": False,
    "IsGlobalFilterEnabled": managed(False, "canmodifyglobalfiltersettings"),
    "IsRenameable": managed(True, "isrenameable"),
    "IsRequiredForForm": False,
    "IsRetrievable": True,
    "IsSearchable": False,
    "IsSortableEnabled": managed(False, "canmodifyissortablesettings"),
    "IsValidForAdvancedFind": managed(True, "canmodifysearchsettings"),
    "IsValidForForm": True,
    "IsValidForGrid": True,
    "IsValidODataAttribute": True,
    "LinkedAttributeId": None,
    "ModifiedOn": "1900-01-01T00:00:00Z",
    "SourceType": 0,
}
"""Of every column, whatever its type."""

RELATIONSHIP: Final[Document] = {"HasChanged": None, "IntroducedVersion": "1.0.0.0"}
"""Of every relationship."""

ONE_TO_MANY: Final[Document] = {
    "DenormalizedAttributeName": None,
    "EntityKey": None,
    "IsDenormalizedLookup": False,
    "IsRelationshipAttributeDenormalized": False,
    "RelationshipAttributes": [],
    "RelationshipBehavior": 1,
}
"""Of every relationship with a lookup."""

MENU: Final[Document] = {
    "Behavior": "UseCollectionName",
    "Group": "Details",
    "Order": 10_000,
    "IsCustomizable": True,
    "Icon": None,
    "ViewId": "00000000-0000-0000-0000-000000000000",
    "AvailableOffline": True,
    "MenuId": None,
    "QueryApi": None,
    "Label": {"LocalizedLabels": [], "UserLocalizedLabel": None},
}
"""Of the associated menu of a relationship, as far as it was not given."""

MANY_TO_MANY: Final[Document] = {
    "Entity1AssociatedMenuConfiguration": None,
    "Entity2AssociatedMenuConfiguration": None,
}
"""Of every relationship with an intersect table."""

TEXT: Final[Document] = {
    "FormulaDefinition": "",
    "ImeMode": "Auto",
    "IsLocalizable": False,
    "SourceTypeMask": 0,
    "YomiOf": None,
}
CHOICE: Final[Document] = {
    "ChildPicklistLogicalNames": [],
    "FormulaDefinition": "",
    "ParentPicklistLogicalName": None,
    "SourceTypeMask": 0,
}
FORMULA: Final[Document] = {"FormulaDefinition": "", "ImeMode": "Auto", "SourceTypeMask": 0}
"""Of derived types of columns: texts, choices, and numbers and times."""
