"""What App Service Authentication sets for a user who signed in."""

import base64
import json

LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


def headers(*claims: tuple[str, str], provider: str = "aad") -> dict[str, str]:
    """Return the headers that the platform sets for a user who signed in."""
    principal = {
        "auth_typ": provider,
        "name_typ": "name",
        "role_typ": LONG_ROLE,
        "claims": [{"typ": kind, "val": value} for kind, value in claims],
    }
    return {
        "x-ms-client-principal": base64.b64encode(json.dumps(principal).encode()).decode(),
        "x-ms-client-principal-id": "7c0f",
        "x-ms-client-principal-name": "ada@contoso.com",
    }
