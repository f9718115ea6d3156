"""Addresses: one host in many spellings is one host, and no other host is taken for it."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.adapters.dataverse import Connection
from linker.adapters.dataverse.http import API
from linker.bootstrap import environment_key
from linker.core.addresses import is_same_environment, is_same_origin, origin_of, path_of
from linker.core.errors import ConfigurationError
from linker.settings import Settings
from tests.fakes.world import StaticTokens

HOST = "contoso.crm4.dynamics.com"
URL = f"https://{HOST}"
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
regions = st.sampled_from(["crm", "crm2", "crm4", "crm9", "crm11", "crm20"])
domains = st.sampled_from(["dynamics.com", "dynamics.cn", "microsoftdynamics.us", "appsplatform.us"])
hosts = st.builds("{}.{}.{}".format, labels.filter(lambda label: label != "api"), regions, domains)
cases = st.sampled_from([str, str.upper, str.title, str.swapcase])
paths = st.sampled_from(["", "/", "//", "/api/data/v9.2", "/api/data/v9.2/", "/main.aspx?appid=1&pagetype=view"])


@st.composite
def spelled(draw: st.DrawFn, host: str) -> str:
    """Return an address of an environment in any of the ways in which people and servers write it."""
    name = host.replace(".crm", ".api.crm", 1) if draw(st.booleans()) else host
    dot, port = draw(st.sampled_from(["", "."])), draw(st.sampled_from(["", ":443"]))
    scheme = draw(cases)("https")
    return f"{scheme}://{draw(cases)(name)}{dot}{port}{draw(paths)}"


@given(hosts.flatmap(lambda host: st.tuples(st.just(host), spelled(host), spelled(host))))
def test_every_spelling_of_a_host_is_the_same_environment(given_: tuple[str, str, str]) -> None:
    host, one, other = given_
    first, second = (Settings.model_validate({"dataverse_url": url}).dataverse_url for url in (one, other))
    assert first == second == f"https://{host}"
    assert environment_key(first) == host
    assert is_same_origin(one, other)
    assert is_same_environment(one, other)


@given(hosts.flatmap(lambda host: st.tuples(st.just(host), spelled(host))))
def test_a_next_link_in_any_spelling_goes_to_the_host_of_the_settings(given_: tuple[str, str]) -> None:
    host, link = given_
    link = f"{link[: len('https')]}://{link.split('/')[2]}{API}contacts?$skiptoken=%3Ccookie%20a='b'/%3E"
    way = Connection(f"https://{host}", httpx.AsyncClient(timeout=120), StaticTokens())
    assert way.address(link) == f"https://{host}{API}contacts?$skiptoken=%3Ccookie%20a='b'/%3E"


@given(hosts, hosts)
def test_two_hosts_are_two_environments(one: str, other: str) -> None:
    assert is_same_origin(f"https://{one}", f"https://{other}") is (one == other)


@pytest.mark.parametrize(
    "link",
    [
        f"https://evil.example{API}contacts",
        f"http://{HOST}{API}contacts",
        f"https://{HOST}:8443{API}contacts",
        f"https://{HOST}.evil.example{API}contacts",
        f"https://{HOST}@evil.example{API}contacts",
        f"https://evil.example\\@{HOST}{API}contacts",
        f"https://a@{HOST}{API}contacts",
        f"https://api.{HOST}{API}contacts",
        f"https://contoso.api.api.crm4.dynamics.com{API}contacts",
        f"https://contoso.crm4.dynamics.com:port{API}contacts",
        f"https://conto\u017fo.crm4.dynamics.com{API}contacts",
        f"//{HOST}{API}contacts",
        f"ftp://{HOST}{API}contacts",
        f"https://{HOST}/other/contacts",
        f"https://{HOST}",
        f"{URL}{API}contacts\r\nX: y",
        f"{URL}{API}contacts\x00",
    ],
)
def test_a_link_to_another_place_is_not_followed(link: str) -> None:
    way = Connection(URL, httpx.AsyncClient(timeout=120), StaticTokens())
    with pytest.raises(ConfigurationError, match="not followed"):
        way.address(link)


@pytest.mark.parametrize(
    ("url", "host", "key"),
    [
        ("http://127.0.0.1:8050/", "http://127.0.0.1:8050", "127.0.0.1-8050"),
        ("http://localhost:80", "http://localhost", "localhost"),
        ("http://[::1]:8050", "http://[::1]:8050", "[--1]-8050"),
        ("https://contoso.crm4.dynamics.com:8443/x", "https://contoso.crm4.dynamics.com:8443", f"{HOST}-8443"),
    ],
)
def test_other_ports_and_this_machine(url: str, host: str, key: str) -> None:
    assert str(origin_of(url)) == host
    assert environment_key(host) == key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(URL, "https://CONTOSO.crm4.dynamics.com/", True, id="case and slash"),
        pytest.param(URL, "https://contoso.api.crm4.dynamics.com", True, id="the API name of the same"),
        pytest.param(URL, "contoso.crm4.dynamics.com", True, id="no scheme"),
        pytest.param(URL, "https://contoso.crm4.dynamics.com:443", True, id="default port"),
        pytest.param(URL, "https://contoso.crm4.dynamics.com:8443", False, id="another port"),
        pytest.param(URL, "https://contoso.crm.dynamics.com", False, id="another region"),
        pytest.param("http://127.0.0.1:8050", "http://127.0.0.1:8051", False, id="two local ones"),
        pytest.param(URL, "https://contoso.crm4.dynamics.com.evil.example", False, id="a longer name"),
        pytest.param(URL, "", False, id="nothing"),
        pytest.param(URL, "https://[", False, id="no address"),
    ],
)
def test_the_linked_environment_is_recognized(one: str, other: str, same: bool) -> None:
    assert is_same_environment(one, other) is same
    assert is_same_environment(other, one) is same


def test_the_path_of_an_address_keeps_its_query() -> None:
    assert path_of(f"{URL}/a%20b?c=d&e=%2F") == "/a%20b?c=d&e=%2F"
