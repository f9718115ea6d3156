"""Start and end of the process."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.sandbox.host.running import running, start_process

EXIT_S = 120.0  # what runs would take 600 s


@pytest.mark.parametrize(
    ("ending", "activity"),
    [
        pytest.param(signal.SIGTERM, "sleep_on", id="SIGTERM during a coroutine"),
        pytest.param(signal.SIGINT, "block", id="SIGINT during a plain function"),
    ],
)
def test_a_signal_ends_the_host_promptly_whatever_runs(ending: signal.Signals, activity: str) -> None:
    with running("every_binding") as host, ThreadPoolExecutor() as waiting:
        host.start("waiting", "for-long", 600.0)
        waiting.submit(host.http.get, "/api/output/for-long")
        host.start("stuck", "forever", activity)
        asked = time.monotonic()
        host.process.send_signal(ending)
        assert host.process.wait(timeout=EXIT_S) == 0
        assert time.monotonic() - asked < EXIT_S
        assert "Traceback" not in host.log.read_text(encoding="utf-8")


def test_a_missing_setting_stops_the_start_with_the_apps_own_message() -> None:
    with start_process("checked") as process:
        told, complaint = process.communicate(timeout=120)
    assert (process.returncode, told) == (2, "")
    assert complaint == "Setting SAMPLE_URL is missing. Set it to the address of the sample.\n"


def test_an_installed_linker_is_not_the_apps_own(tmp_path: Path) -> None:
    package = tmp_path / "linker"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "bootstrap.py").write_text("def check_start():\n    raise SystemExit('an installed package refused')\n")
    with running("every_binding", PYTHONPATH=str(tmp_path)) as host:
        assert host.ready["functions"]


def test_keys_are_asked_for_on_demand_and_named_in_the_ready_line() -> None:
    with running("checked", keys=True, SAMPLE_URL="http://sample", LOCAL_FUNCTION_KEY="the-key") as host:
        keys = host.ready["keys"]
        assert (host.ready["key"], keys["host"]) == ("the-key", "the-key")

        def status(path: str, key: str = "") -> int:
            return host.http.get(path, headers={"x-functions-key": key}).status_code

        for path in ("/admin/functions", "/admin/host/status"):
            assert [status(path, key) for key in ("", "the-key", keys["durabletask"], keys["master"])] == [
                401,
                401,
                401,
                200,
            ]
        instance = "/runtime/webhooks/durabletask/instances/none"
        assert [status(instance, key) for key in ("", "the-key", keys["durabletask"], keys["master"])] == [
            401,
            401,
            404,
            404,
        ]
        assert status("/admin/host/ping") == 200


def test_a_placeholder_falls_back_to_the_apps_own_default() -> None:
    with running("checked", SAMPLE_URL="http://sample") as host:
        assert "poll" in host.ready["functions"]


def test_a_malformed_schedule_stops_the_start() -> None:
    with start_process("checked", SAMPLE_URL="http://sample", SAMPLE_SCHEDULE="every day") as process:
        _, complaint = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "Timer 'poll': 'every day' is not an NCRONTAB schedule with six fields" in complaint
    assert "Traceback" not in complaint


def test_a_folder_without_an_app_is_refused() -> None:
    with start_process("nowhere") as process:
        _, complaint = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "nowhere" in complaint
    assert "Traceback" not in complaint
