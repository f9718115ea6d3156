"""The three orchestrators, native generators over durabletask; function_app.py registers them."""

from linker.orchestration.generation import GENERATION, link_generation
from linker.orchestration.run import ORCHESTRATOR, customerid_backstamping_hydration
from linker.orchestration.touching import TOUCHING, touch_waiting_profiles

__all__ = [
    "GENERATION",
    "ORCHESTRATOR",
    "TOUCHING",
    "customerid_backstamping_hydration",
    "link_generation",
    "touch_waiting_profiles",
]
