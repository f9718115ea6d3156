"""`make live`: what the linker takes for granted about Dataverse, asked of a real environment (docs/dev/live.md)."""
