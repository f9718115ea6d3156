"""Customer Insights as a run meets it: one instance, its data sources, and a unification that ended."""

from linker.adapters.customer_insights import Instance, Job
from linker.core.requirements.facts import DataSource
from tests.fakes.requests import URL


class FakeInsights:
    """Customer Insights that describes one instance."""

    def __init__(self, **instance: object) -> None:
        values = {"linked_url": URL, "is_b2b": False, "managed_lake": True, **instance}
        self._instance = Instance(**values)  # type: ignore[arg-type]
        self.kinds = {"crm": "attachCds", "files": "powerQuery"}
        self.keys = {"contact": "contactid"}

    async def instance(self) -> Instance:
        return self._instance

    async def data_sources(self) -> tuple[DataSource, ...]:
        return tuple(DataSource(name, kind, tuple(self.keys), self.keys) for name, kind in self.kinds.items())

    async def last_unification(self) -> Job | None:
        return Job("job", "", "")

    async def has_never_unified(self) -> bool:
        return False
