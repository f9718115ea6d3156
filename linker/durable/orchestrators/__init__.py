"""The five orchestrators, native generators over durabletask; function_app.py registers them."""

from linker.durable.orchestrators.generation import GENERATION, link_generation
from linker.durable.orchestrators.run import ORCHESTRATOR, customerid_backstamping_hydration
from linker.durable.orchestrators.scanning import SCANNING, scan_mapping
from linker.durable.orchestrators.touching import TOUCHING, touch_waiting_profiles
from linker.durable.orchestrators.unlinking import UNLINKING, unlink_departed_rows

__all__ = [
    "GENERATION",
    "ORCHESTRATOR",
    "SCANNING",
    "TOUCHING",
    "UNLINKING",
    "customerid_backstamping_hydration",
    "link_generation",
    "scan_mapping",
    "touch_waiting_profiles",
    "unlink_departed_rows",
]
