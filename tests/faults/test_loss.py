"""Table Storage on this machine dies: after six idle seconds nothing is lost, before them a verify run is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from .loss import DEATHS, Death, stored


@pytest.mark.parametrize("death", [pytest.param(death, id=death.name) for death in DEATHS])
def test_what_the_storage_lost_is_set_right(azurite: str, tmp_path: Path, death: Death) -> None:
    with stored(tmp_path) as world:
        assert death.play(world, 1).harm == ()
