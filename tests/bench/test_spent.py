"""Where the time of a run went."""

import pytest

from bench.spent import kind_of, spent


def test_the_time_of_a_run_is_split_by_whether_a_write_was_under_way() -> None:
    requests = [
        ("all else", 9.0, 10.5),
        ("mapping", 10.5, 11.0),
        ("writes", 11.0, 13.0),
        ("writes", 12.0, 14.0),
        ("profiles and read-back", 14.0, 15.0),
        ("writes", 15.0, 16.0),
    ]
    found = spent(requests, 10.0, 18.0)
    assert found is not None
    assert (found.before, found.writing, found.between, found.after) == (1.0, 4.0, 1.0, 2.0)
    assert found.at_once == pytest.approx(5 / 4)
    assert found.requests == {"writes": 5.0, "profiles and read-back": 1.0, "mapping": 0.5, "all else": 1.5}


def test_a_run_that_wrote_nothing_has_no_such_account() -> None:
    assert spent([("mapping", 1.0, 2.0), ("writes", 5.0, 6.0)], 0.0, 4.0) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("contacts/Microsoft.Dynamics.CRM.UpdateMultiple", "writes"),
        ("$batch", "profiles and read-back"),
        ("msdynci_alternatekeys?$select=x", "mapping"),
        ("WhoAmI", "all else"),
    ],
)
def test_a_request_is_known_by_its_path(path: str, kind: str) -> None:
    assert kind_of(path) == kind
