"""Settings: what is there must be right; what is missing is named with a fix."""

import pytest

from linker import settings
from linker.core.errors import ConfigurationError
from linker.core.requirements.facts import DeclaredSource

GOOD = {"LINKER_DATAVERSE_URL": "https://contoso.crm4.dynamics.com", "LINKER_STORAGE": "UseDevelopmentStorage=true"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with the two settings that are needed."""
    import os

    for name in list(os.environ):
        if name.upper().startswith("LINKER_"):
            monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_two_settings_are_enough(environment: pytest.MonkeyPatch) -> None:
    loaded = settings.load()
    assert loaded.dataverse_url == "https://contoso.crm4.dynamics.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LINKER_DATAVERSE_URL", "contoso.crm4.dynamics.com"),
        ("LINKER_DATAVERSE_URL", "https://contoso crm"),
        ("LINKER_INSIGHTS_URL", "ftp://x"),
        ("LINKER_DECLARED", "R1,R7"),
        ("LINKER_UNKNOWN_FACTS", "maybe"),
        ("LINKER_REQUIREMENTS", "some"),
        ("LINKER_FULL", "twice"),
        ("LINKER_SETTLE_MINUTES", "-1"),
        ("LINKER_SETTLE_MINUTES", "ten"),
        ("LINKER_UNLINK_MAX_SHARE", "1.1"),
        ("LINKER_POLL", "perhaps"),
        ("LINKER_LEASE_SECONDS", "1"),
        ("LINKER_WIDTH", "65"),
    ],
)
def test_a_malformed_setting_stops_the_start_with_its_name_and_a_fix(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    for start in (settings.check, settings.load):
        with pytest.raises(ConfigurationError, match=f"{name} is malformed.*Correct it"):
            start()


def test_an_unknown_setting_stops_the_start_with_the_name_that_was_meant(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LINKER_DATAVERSE_ULR", "https://x")
    with pytest.raises(
        ConfigurationError, match=r"no setting LINKER_DATAVERSE_ULR\. Did you mean LINKER_DATAVERSE_URL"
    ):
        settings.check()


def test_a_setting_like_no_other_is_to_be_removed(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LINKER_ZZZZZZZZ", "1")
    with pytest.raises(ConfigurationError, match="Remove it"):
        settings.check()


def test_settings_of_other_programs_are_not_read(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FUNCTIONS_WORKER_RUNTIME", "python")
    settings.check()


def test_a_missing_setting_is_not_a_fault_until_something_needs_it(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("LINKER_DATAVERSE_URL")
    settings.check()
    with pytest.raises(ConfigurationError, match=r"LINKER_DATAVERSE_URL is missing.*settings\.md"):
        settings.load()


def test_an_empty_setting_counts_as_missing(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LINKER_DATAVERSE_URL", "")
    with pytest.raises(ConfigurationError, match="LINKER_DATAVERSE_URL is missing"):
        settings.load()


@pytest.mark.parametrize("both", [True, False])
def test_exactly_one_storage_is_set(environment: pytest.MonkeyPatch, both: bool) -> None:
    if both:
        environment.setenv("LINKER_STORAGE__tableServiceUri", "https://x.table.core.windows.net")
    else:
        environment.delenv("LINKER_STORAGE")
    with pytest.raises(ConfigurationError, match="exactly one of LINKER_STORAGE"):
        settings.load()


def test_storage_by_managed_identity(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("LINKER_STORAGE")
    environment.setenv("LINKER_STORAGE__tableServiceUri", "https://x.table.core.windows.net/")
    assert settings.load().storage_table_service_uri == "https://x.table.core.windows.net"


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LINKER_STORAGE", "AccountName=a;AccountKey=verysecret")
    environment.setenv("LINKER_INSIGHTS_KEY", "alsosecret")
    assert "secret" not in f"{settings.load()!r} {settings.load()}"


def test_a_malformed_secret_is_not_shown_either(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LINKER_DATAVERSE_URL", "verysecret")
    with pytest.raises(ConfigurationError) as raised:
        settings.load()
    assert "verysecret" not in str(raised.value)


def test_lists_are_separated_by_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LINKER_DECLARED", " R1, r5 ,")
    assert settings.load().declared == ("R1", "R5")


def test_every_name_starts_with_the_prefix_once() -> None:
    assert len(set(settings.names())) == len(settings.names())
    assert all(name.startswith("LINKER_") for name in settings.names())
    assert (
        settings.default_of("LINKER_SETTLE_MINUTES") == "10.0" or settings.default_of("LINKER_SETTLE_MINUTES") == "10"
    )


def test_a_write_that_may_outlive_its_attempt_is_refused(environment: pytest.MonkeyPatch) -> None:
    """An attempt may send as long as the longest write ends within its time; with less time it could never send safely."""
    environment.setenv("LINKER_ATTEMPT_SECONDS", "100")
    environment.setenv("LINKER_WRITE_TIMEOUT_SECONDS", "150")
    with pytest.raises(ConfigurationError, match="LINKER_ATTEMPT_SECONDS"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        pytest.param("LINKER_STORAGE", "foo", "LINKER_STORAGE is malformed", id="no connection string"),
        pytest.param("LINKER_DATAVERSE_URL", "https://", "LINKER_DATAVERSE_URL is malformed", id="no host"),
        pytest.param("LINKER_DATAVERSE_URL", "https://x.crm.dynamics.com:99999", "malformed", id="port"),
        pytest.param("LINKER_INSIGHTS_URL", "https://x.example", "belong together", id="half of a pair"),
        pytest.param("LINKER_POLL_SCHEDULE", "foo", "LINKER_POLL_SCHEDULE is malformed", id="no schedule"),
        pytest.param("LINKER_LEASE_SECONDS", "inf", "LINKER_LEASE_SECONDS is malformed", id="endless lease"),
    ],
)
def test_what_could_only_fail_later_stops_the_start(
    environment: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(ConfigurationError, match=told):
        settings.load()


def test_sources_are_declared_as_json(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(
        "LINKER_SOURCES", '[{"dataSource": "crm", "table": "contact", "kind": "attachCds", "key": "contactid"}]'
    )
    assert settings.load().sources == (DeclaredSource("crm", "contact", "attachCds", "contactid"),)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        pytest.param("contact", "the text: Invalid JSON", id="no JSON"),
        pytest.param('[{"dataSource": "crm"}]', "0.table: Field required", id="a member is missing"),
        pytest.param(
            '[{"dataSource": "crm", "table": "t", "kind": "atachCds"}]',
            "0.kind: Input should be",
            id="a kind misspelled",
        ),
        pytest.param('[{"dataSource": "crm", "table": "t", "keys": "x"}]', "0.keys:", id="an unknown member"),
    ],
)
def test_sources_that_do_not_fit_say_where_and_show_an_example(
    environment: pytest.MonkeyPatch, value: str, where: str
) -> None:
    environment.setenv("LINKER_SOURCES", value)
    with pytest.raises(ConfigurationError) as told:
        settings.load()
    assert f"LINKER_SOURCES is malformed: {where}" in str(told.value)
    assert '"kind": "attachCds"' in str(told.value)
