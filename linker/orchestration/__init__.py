"""The two orchestrators, native generators over durabletask; function_app.py registers them."""

from linker.orchestration.generation import GENERATION, link_generation
from linker.orchestration.run import ORCHESTRATOR, customerid_backstamping_hydration

__all__ = ["GENERATION", "ORCHESTRATOR", "customerid_backstamping_hydration", "link_generation"]
