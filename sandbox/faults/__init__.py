"""Scripted faults: what goes wrong, for which requests, how often; and the list of all that fired."""

from sandbox.faults.layer import FaultLayer, arm_all
from sandbox.faults.model import Fault, InvalidFaultError, read_faults
from sandbox.faults.register import Faults

__all__ = ["Fault", "FaultLayer", "Faults", "InvalidFaultError", "arm_all", "read_faults"]
