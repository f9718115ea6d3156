"""From a mapping row to the profile that its source row is to link to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from linker.adapters.dataverse import Dataverse
from linker.core.linking.claims import Claim
from linker.core.model import Link, RowKey, Target


@dataclass(slots=True)
class Resolved:
    """The link of each row, or why it has none: code and text of an issue."""

    links: dict[RowKey, Link] = field(default_factory=dict)
    issues: dict[RowKey, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Finds profiles: by the mapping row's own lookup where a sample showed that it is right, else by CustomerId.

    Not `trusting` ignores the mapping row's lookup.
    """

    dataverse: Dataverse
    target: Target
    trusting: bool = True

    async def resolve(self, claims: Mapping[RowKey, Claim]) -> Resolved:
        """Return the link of each row. A profile that is not in Dataverse yet defers its rows; several reject them."""
        believes = self.trusting and self.target.names_profile
        links = {
            key: Link(claim.profile, claim.partition) for key, claim in claims.items() if believes and claim.profile
        }
        resolved, rest = Resolved(links), {key: claim for key, claim in claims.items() if key not in links}
        found = await self.dataverse.profiles({claim.stored for claim in rest.values()}, self.target) if rest else {}
        for key, claim in rest.items():
            candidates = found.get(claim.customer, ())
            if len(candidates) == 1:
                resolved.links[key] = candidates[0]
            elif candidates:
                text = f"{len(candidates)} profiles have the CustomerId {claim.stored}."
                resolved.issues[key] = ("AmbiguousProfile", text)
            else:
                text = f"The profile of customer {claim.stored} is not in Dataverse."
                resolved.issues[key] = ("ProfileMissing", text)
        return resolved
