"""Definitions as clients post them."""

from typing import Any

CONTACT = "EntityDefinitions(LogicalName='contact')"
TYPE = "Microsoft.Dynamics.CRM"


def labelled(text: str) -> dict[str, Any]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}


def bank() -> dict[str, Any]:
    """Return a table as Microsoft's page on creating table definitions posts it."""
    name = {
        "@odata.type": f"{TYPE}.StringAttributeMetadata",
        "SchemaName": "new_AccountName",
        "IsPrimaryName": True,
        "DisplayName": labelled("Account Name"),
        "RequiredLevel": {"Value": "None", "CanBeChanged": True},
        "FormatName": {"Value": "Text"},
        "MaxLength": 100,
    }
    return {
        "@odata.type": f"{TYPE}.EntityMetadata",
        "SchemaName": "new_BankAccount",
        "DisplayName": labelled("Bank Account"),
        "DisplayCollectionName": labelled("Bank Accounts"),
        "OwnershipType": "UserOwned",
        "HasActivities": False,
        "HasNotes": False,
        "IsActivity": False,
        "Attributes": [name],
    }


def column(name: str, **more: object) -> dict[str, Any]:
    return {"@odata.type": f"{TYPE}.StringAttributeMetadata", "SchemaName": name, "MaxLength": 50, **more}


def paired(name: str, **more: object) -> dict[str, Any]:
    ends = {"Entity1LogicalName": "account", "Entity2LogicalName": "contact"}
    return {"@odata.type": f"{TYPE}.ManyToManyRelationshipMetadata", "SchemaName": name, **ends, **more}
