"""The main job ends with right links on every kind of table and with every switch of the sandbox."""

from collections.abc import Iterable

import pytest

from tests.matrix.cases import BOUNDED, Case, apart, combinations, config_of, kinds, name_of, singles
from tests.matrix.story import play


def named(cases: Iterable[Case]) -> list[object]:
    return [pytest.param(case, id=name_of(case)) for case in cases]


@pytest.mark.parametrize("case", named([*kinds(), *singles(), *apart("elastic_in"), *combinations(BOUNDED)]))
def test_the_main_job_ends_with_right_links(case: Case) -> None:
    assert play(config_of(case)).faults == []
