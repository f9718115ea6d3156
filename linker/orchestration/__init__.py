"""The five orchestrators, native generators over durabletask; function_app.py registers them."""

from linker.orchestration.generation import GENERATION, link_generation
from linker.orchestration.run import ORCHESTRATOR, customerid_backstamping_hydration
from linker.orchestration.scanning import SCANNING, scan_mapping
from linker.orchestration.touching import TOUCHING, touch_waiting_profiles
from linker.orchestration.unlinking import UNLINKING, unlink_departed_rows

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
