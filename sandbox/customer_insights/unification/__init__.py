"""The unification simulator: what the next run of the Customer Insights workflow changes in Dataverse."""

from sandbox.customer_insights.unification.request import InvalidRequestError, UnificationRequest, read_request
from sandbox.customer_insights.unification.simulator import BusyError, Simulator

__all__ = ["BusyError", "InvalidRequestError", "Simulator", "UnificationRequest", "read_request"]
