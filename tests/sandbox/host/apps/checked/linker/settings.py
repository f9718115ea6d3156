def default_of(name: str) -> str | None:
    return {"SAMPLE_SCHEDULE": "0 0 0 1 1 *"}.get(name)
