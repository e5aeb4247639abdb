"""Files from strangers: every door gives back what it should or refuses with a sentence, within its memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attempts import attempt, furnish
from doors import DOORS


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where the files come, next to what they name; all that the program keeps is kept there too."""
    folder = tmp_path_factory.mktemp("doors")
    with pytest.MonkeyPatch.context() as patch:
        for home, place in furnish(folder).items():
            patch.setenv(home, place)
        yield folder


@pytest.mark.parametrize("name", DOORS)
def test_whole_files_are_let_in(folder, name):
    """Or the damaged ones would try a single refusal."""
    for file in DOORS[name].whole():
        assert attempt(DOORS[name], folder, *file).read, file[0]


@pytest.mark.parametrize("name", DOORS)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_with_a_sentence(folder, name, data):
    attempt(DOORS[name], folder, *data.draw(_files(name)))


_strategies: dict = {}


def _files(name: str) -> st.SearchStrategy:
    return _strategies.setdefault(name, DOORS[name].files())
