"""OData queries as values, and the parser of `$filter`. Nothing here knows SQL or HTTP."""
