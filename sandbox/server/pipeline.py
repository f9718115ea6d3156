"""What surrounds each operation of the Web API: its share of the cost and the limits, and scripted faults."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.faults import Faults
from sandbox.faults.answers import operation_error
from sandbox.faults.model import Target
from sandbox.middleware.admission import Exchange, current_exchange, refusal_error
from sandbox.middleware.service_protection import ServiceProtection
from sandbox.runtime import BatchPart, ReadOperation, WriteOperation


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The hooks of the environment (see `sandbox.runtime.Hooks`). `in_flight` is what the gate lets be served."""

    protection: ServiceProtection
    faults: Faults
    in_flight: Mapping[int, Exchange]

    async def before_part(self, part: BatchPart) -> None:
        """Count an operation of a $batch as a request of its own; it may be refused like one."""
        del part
        exchange = current_exchange.get()
        exchange.work.parts += 1
        refusal = self.protection.count(exchange.user.client_id, exchange.server)
        if refusal is not None:
            raise refusal_error(refusal)

    async def before_write(self, operation: WriteOperation) -> bool:
        """Let it write, unless a fault strikes it."""
        if not self.faults.any_armed:
            return True
        target = Target(
            "",
            operation.path,
            operation.table,
            operation.kind,
            operation_rows=operation.rows,
            overlapping=self._overlaps(operation),
        )
        fault = self.faults.strike_operation(target)
        if fault is None:
            return True
        if fault.kind == "dropped_write":
            return False
        raise operation_error(fault)

    async def spend(self, cost_ms: float) -> None:
        """Note the time that a synchronous step takes; the gate sleeps it and counts it as execution time."""
        current_exchange.get().work.extra_ms += cost_ms

    async def after_commit(self, operation: WriteOperation) -> None:
        """Note the rows that it costs, which no other request should write before the answer leaves."""
        work = current_exchange.get().work
        work.rows_written += operation.rows
        work.written.append((operation.table, operation.row_ids))

    async def after_read(self, operation: ReadOperation) -> None:
        """Note the rows that it costs."""
        current_exchange.get().work.rows_read += operation.rows

    def _overlaps(self, operation: WriteOperation) -> bool:
        """Return whether another request in flight has written one of these rows."""
        others = [other for other in self.in_flight.values() if other is not current_exchange.get()]
        written = [row_ids for other in others for table, row_ids in other.work.written if table == operation.table]
        rows = set(operation.row_ids)
        return any(not rows.isdisjoint(row_ids) for row_ids in written)
