"""The demo as a command: what it prints, what it writes, how it ends."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.server.azurite import AzuriteError, find_azurite

from .world import ROOT, SAMPLE

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture(autouse=True)
def _azurite() -> None:
    try:
        find_azurite()
    except AzuriteError as missing:
        pytest.skip(str(missing))


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*options), cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "sandbox", "demo", *options]


def test_three_acts_are_played_proved_and_written_for_scripts(tmp_path: Path) -> None:
    files = {kind: tmp_path / f"shown.{kind}" for kind in ("json", "svg")}
    done = demo("--load", str(SAMPLE), "--json", str(files["json"]), "--svg", str(files["svg"]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert CONTROL.search(done.stdout) is None
    assert done.stdout.count("CustomerId Backstamping Hydration") == 3
    assert "12 rows of loyCustomer" in done.stdout
    assert "loyCustomer" in files["svg"].read_text(encoding="utf-8")

    shown = json.loads(files["json"].read_text(encoding="utf-8"))
    assert shown["succeeded"] is True
    assert [act["run"]["status"] for act in shown["acts"]] == ["Successful"] * 3
    assert [act["run"]["counts"]["linked"] for act in shown["acts"]] == [90, 0, 1]
    assert all(proof["expected"] == proof["counted"] for act in shown["acts"] for proof in act["proofs"])
    assert {check["table"]: check["right"] for check in shown["readBack"]} == {"contact": 60, "lead": 30}


def test_a_run_that_does_not_link_ends_the_demo_with_another_exit_code(tmp_path: Path) -> None:
    folder = shutil.copytree(SAMPLE, tmp_path / "data")
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    environment["instance"] |= {"isB2B": True, "isB2C": False}
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    done = demo("--load", str(folder))
    assert done.returncode == 1
    assert "Skipped" in done.stdout
    assert "Backstamping job skipped" in done.stdout
    assert "2 of 3" not in done.stdout


def test_a_start_that_fails_shows_the_last_words_and_where_the_log_is(tmp_path: Path) -> None:
    done = demo("--load", str(tmp_path))
    assert done.returncode == 1
    assert "msdynci_alternatekey.csv is missing" in done.stdout
    assert "sandbox.log" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_everything_that_was_started(end: signal.Signals, code: int) -> None:
    with subprocess.Popen(command("--load", str(SAMPLE)), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = ""
        while "1 of 3" not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        process.send_signal(end)
        process.stdout.read()
        assert process.wait(120) == code
    for url in re.findall(r"http://127.0.0.1:\d+", shown):
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, timeout=120)


def test_what_is_kept_answers_until_it_is_stopped() -> None:
    with subprocess.Popen(
        command("--load", str(SAMPLE), "--keep"), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        shown = ""
        while "Another unification" not in shown:
            line = process.stdout.readline()
            assert line, shown
            shown += line
        (page,) = re.findall(r"Status page\s+(http://127.0.0.1:\d+/api/portal)", shown)
        assert httpx.get(page, follow_redirects=True, timeout=120).status_code == 200
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(120) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(page, timeout=120)
