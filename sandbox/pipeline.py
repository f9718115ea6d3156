"""What surrounds each operation of the Web API: its share of the cost and the limits, and scripted faults."""

from dataclasses import dataclass

from sandbox.environment import BatchPart, ReadOperation, WriteOperation
from sandbox.faults import Faults
from sandbox.faults.answers import operation_error
from sandbox.faults.model import Target
from sandbox.gate import current_exchange, refusal_error
from sandbox.protection import ServiceProtection


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The hooks of the environment (see `sandbox.environment.Hooks`)."""

    protection: ServiceProtection
    faults: Faults

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
        target = Target("", operation.path, operation.table, operation.kind, operation_rows=operation.rows)
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
        """Note the rows that it costs."""
        current_exchange.get().work.rows_written += operation.rows

    async def after_read(self, operation: ReadOperation) -> None:
        """Note the rows that it costs."""
        current_exchange.get().work.rows_read += operation.rows
