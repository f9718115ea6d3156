"""What a simulated unification changes, as requested."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, NonNegativeFloat, PositiveInt, TypeAdapter, ValidationError

from sandbox.switches.config import SandboxConfig

Share = Annotated[float, Field(ge=0, le=1)]


def _listed(names: object) -> object:
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else names


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""A list of names, or one text with commas between them, as it is easy to write in a shell."""


class InvalidRequestError(ValueError):
    """A field is unknown or its value does not fit; nothing was changed. The message names the field."""


@dataclass(frozen=True, slots=True)
class UnificationRequest:
    """One unification. The same request on the same state changes the same rows.

    `move`, `drop`, `add` and `recreate` are shares of the mapping rows of Dataverse tables; `merge`, `split` and
    `delete_profiles` and `new_profile_ids` are shares of the profiles. What is None is as the switches say.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    seed: int = 1
    snapshot: str | None = None
    """Keep the state before this unification under a name, for `restore`."""
    restore: str | None = None
    """Go back to the state kept under this name; shares are not combined with it."""
    bring_back: Literal["same id", "new id"] | None = None
    """Create the profiles deleted earlier again, under their CustomerIds."""
    move: Share = 0.0
    """Rows get the CustomerId of another profile that stays."""
    merge: Share = 0.0
    """Profiles vanish; their rows go to another profile, whose PreviousCustomerId names them."""
    split: Share = 0.0
    """Profiles with several rows lose half of them to a new profile."""
    add: Share = 0.0
    """New source rows, every other one with a new profile."""
    drop: Share = 0.0
    """Rows leave the mapping; the source rows stay."""
    delete_profiles: Share | None = None
    """Profiles vanish from Dataverse although the mapping still names them."""
    new_profile_ids: Share | None = None
    """Profiles are written under another id, for the same CustomerId; the row with the old id is deleted."""
    take_out: Names = ()
    """Tables that leave unification altogether."""
    recreate: Share = 0.0
    """Source rows are deleted and created under the same id, so their links are lost."""
    hydration_s: NonNegativeFloat | None = None
    """Simulated seconds over which mapping and profiles are written, in a mixed order, after the merge."""
    steps: PositiveInt = 20
    announce_first: bool | None = None
    """End the job before hydration begins: the outside learns of it while the tables still change."""
    job_type: Literal["full", "incremental"] = "incremental"
    submission_kind: Literal["onDemand", "scheduled"] = "onDemand"
    outcome: Literal["successful", "failed"] = "successful"
    """`failed`: the merge fails, so nothing changes."""

    @property
    def changes_rows(self) -> bool:
        """Whether anything but going back to a snapshot is asked for."""
        shares = (self.move, self.merge, self.split, self.add, self.drop, self.recreate)
        return any((*shares, self.vanish, self.renew)) or bool(self.take_out) or self.bring_back is not None

    @property
    def vanish(self) -> float:
        """The share of the profiles that vanish."""
        return self.delete_profiles or 0.0

    @property
    def renew(self) -> float:
        """The share of the profiles that get another id."""
        return self.new_profile_ids or 0.0

    @property
    def duration_s(self) -> float:
        """Simulated seconds that hydration takes."""
        return self.hydration_s or 0.0

    def completed(self, config: SandboxConfig) -> "UnificationRequest":
        """Return this request with what it leaves open taken from the switches; going back changes nothing else."""
        calm = self.restore is not None
        first = config.job_ends_first if self.announce_first is None else self.announce_first

        def chosen(own: float | None, switch: float) -> float:
            return switch if own is None else own

        return replace(
            self,
            announce_first=first,
            hydration_s=chosen(self.hydration_s, config.hydration_s),
            delete_profiles=chosen(self.delete_profiles, 0.0 if calm else config.profiles_vanish),
            new_profile_ids=chosen(self.new_profile_ids, 0.0 if calm else config.profile_ids_change),
        )


@cache
def _checker() -> TypeAdapter[UnificationRequest]:
    return TypeAdapter(UnificationRequest)


def read_request(document: Mapping[str, object]) -> UnificationRequest:
    """Return a request given as JSON. Raises InvalidRequestError, naming the field, if it does not fit."""
    try:
        request = _checker().validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequestError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    _check(request)
    return request


def _check(request: UnificationRequest) -> None:
    if request.restore is not None and request.changes_rows:
        raise InvalidRequestError("restore: it goes back to an earlier state and cannot be combined with other changes")
    if round(request.move + request.drop + request.recreate, 9) > 1:
        raise InvalidRequestError(
            "move, drop, recreate: together they are more than all rows; no row is in two of them"
        )
    if round(2 * request.merge + request.vanish + request.renew, 9) > 1:
        raise InvalidRequestError(
            "merge, delete_profiles, new_profile_ids: there are not enough profiles; each merge takes one that vanishes "
            "and one that stays"
        )
