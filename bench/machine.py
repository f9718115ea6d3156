"""On what and with what a measurement was made. No host name, no path, no user."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

IMPORTS = 3  # the best of so many: the first one may have to read the disk


@dataclass(frozen=True, slots=True)
class Machine:
    """Date, processor, cores, memory in GB of 2**30 bytes, Python, and how busy it was (load average over 15 minutes)."""

    date: str
    cpu: str
    cores: int
    memory_gb: float
    python: str
    load: float


def describe() -> Machine:
    """Return this machine; called after the measurements, so that it shows their load."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    date, python = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", platform.python_version()
    return Machine(date, _cpu(), cores, round(memory, 1), python, round(os.getloadavg()[2], 1))


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@dataclass(frozen=True, slots=True)
class ImportTime:
    """Seconds to import function_app, and the packages that take the most of it, in milliseconds."""

    seconds: float
    packages: dict[str, float]


def import_time() -> ImportTime:
    """Import function_app in fresh processes under `-X importtime` and return the fastest."""
    return min((_import_once() for _ in range(IMPORTS)), key=lambda found: found.seconds)


def _import_once() -> ImportTime:
    command = [sys.executable, "-X", "importtime", "-c", "import function_app"]
    return read_import_time(subprocess.run(command, capture_output=True, text=True, check=True).stderr)


def read_import_time(text: str) -> ImportTime:
    """Read the lines `import time: self [us] | cumulative | imported package`; nested packages are indented."""
    own: dict[str, float] = {}
    total = 0.0
    for line in text.splitlines():
        self_us, _, rest = line.removeprefix("import time:").partition("|")
        cumulative_us, _, name = rest.partition("|")
        if not line.startswith("import time:") or not self_us.strip().isdecimal():
            continue
        package = name.strip().partition(".")[0]
        own[package] = own.get(package, 0.0) + int(self_us) / 1000
        total = int(cumulative_us) / 1e6 if name.strip() == "function_app" else total
    most = sorted(own.items(), key=lambda item: -item[1])[:8]
    return ImportTime(total, {name: round(ms, 1) for name, ms in most})
