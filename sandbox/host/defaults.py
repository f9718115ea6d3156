"""Settings that only make sense on one machine. Environment and local.settings.json come before them."""

LOCAL_DEFAULTS: dict[str, str] = {
    "AZURE_FUNCTIONS_ENVIRONMENT": "Development",  # as Core Tools sets it
    "LINKER_LEASE_SECONDS": "15",
    "LINKER_ATTEMPT_SECONDS": "30",
    "LINKER_WRITE_TIMEOUT_SECONDS": "20",
    "LINKER_WATCHDOG_SCHEDULE": "*/5 * * * * *",
}
