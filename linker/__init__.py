"""The customer profile linker: links Dataverse source rows to their customer profiles after each unification."""
