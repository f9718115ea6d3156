"""Names that people and Dataverse know: of the task, of the tables of Customer Insights - Data, of the lookup column."""

TASK_NAME = "CustomerId Backstamping Hydration"
TASK_GROUP = "Dataverse Hydration"
SKIPPED_MESSAGE = "Backstamping job skipped"

LOOKUP_SCHEMA_NAME = "msdynci_lookupfield_customerprofile"
LOOKUP_DISPLAY_NAME = "Customer Profile"

PROFILE_TABLE = "msdynci_customerprofile"
PROFILE_SET, PROFILE_KEY = "msdynci_customerprofiles", f"{PROFILE_TABLE}id"
MAPPING_TABLE = "msdynci_alternatekey"  # its columns: linker.core.odata.MappingColumns
MAPPING_SET = "msdynci_alternatekeys"
CUSTOMER_COLUMN = "msdynci_customerid"  # of profiles, mapping rows, and measures
