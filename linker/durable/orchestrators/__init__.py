"""The five orchestrators, native generators over durabletask; function_app.py registers them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from linker.durable.orchestrators.generation import GENERATION, link_generation
from linker.durable.orchestrators.run import ORCHESTRATOR, customerid_backstamping_hydration
from linker.durable.orchestrators.scanning import SCANNING, scan_mapping
from linker.durable.orchestrators.touching import TOUCHING, touch_waiting_profiles
from linker.durable.orchestrators.unlinking import UNLINKING, unlink_departed_rows

# Name in durable histories, and what it does. A name stays as long as a history may hold it.
ORCHESTRATORS: Final[Mapping[str, Callable[..., Any]]] = {
    ORCHESTRATOR: customerid_backstamping_hydration,
    GENERATION: link_generation,
    SCANNING: scan_mapping,
    TOUCHING: touch_waiting_profiles,
    UNLINKING: unlink_departed_rows,
}

__all__ = ["GENERATION", "ORCHESTRATOR", "ORCHESTRATORS", "SCANNING", "TOUCHING", "UNLINKING"]
