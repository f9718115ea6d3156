"""What API and portal share: requests and answers as values, operations, roles, audit."""
