"""Connects a Python process to Azure Monitor as the platform's worker does when it starts (docs/reference/azure.md 7).

On the path of a host only; the local host leaves this to Azure.
"""

import os

if os.environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING"):
    from azure.monitor.opentelemetry import configure_azure_monitor

    configure_azure_monitor(logger_name=os.environ["PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME"], enable_live_metrics=False)
