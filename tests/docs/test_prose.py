"""The prose check finds each word that it lists, in the texts that people read, and nothing in code."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.prose import check, of_tests, prose


def found(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8")
    return [one.words for one in check(prose(path), path.name)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("Somebody changed it, and nobody knows.", ["Somebody", "nobody"], id="people without a role"),
        pytest.param("This is no table.", ["is no"], id="is no"),
        pytest.param("There is no setting of this name, and it is no longer read.", [], id="no setting, no longer"),
        pytest.param("There is no table.", ["There is no"], id="there is no"),
        pytest.param("The run goes on.", ["goes on"], id="goes on"),
        pytest.param("The route goes on the list.", [], id="a place"),
        pytest.param("The log tells why.", ["tells"], id="tells"),
        pytest.param("A hash tells two rows apart.", [], id="tells apart"),
        pytest.param("Mend it, then read it anew.", ["anew", "Mend"], id="mend, anew"),
        pytest.param("Whoever wants to run it, he may.", ["Whoever", "wants to", "he"], id="whoever, wants to, he"),
        pytest.param("It wants a time that it need not read.", ["need not", "wants"], id="wants, need not"),
        pytest.param("It shall hear of nothing but that.", ["hear of", "nothing but", "shall"], id="shall, hear of"),
        pytest.param("The key is none of ours; it works all the same.", ["all the same", "none of ours"], id="none of"),
        pytest.param("It ended of late, for the sake of a pause.", ["for the sake of", "of late"], id="of late, sake"),
        pytest.param("It is cut without a word, and the work gets on.", ["gets on", "without a word"], id="gets on"),
        pytest.param("You need nothing else, not even a wanted list.", [], id="need, wanted"),
        pytest.param("Run `tell` again.", [], id="code in a line"),
        pytest.param("```\ntell\n```\nA table.", [], id="a block of code"),
    ],
)
def test_markdown_is_read_without_its_code(tmp_path: Path, text: str, words: list[str]) -> None:
    assert sorted(found(tmp_path / "page.md", text), key=str.lower) == sorted(words, key=str.lower)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('"""It tells all."""', ["tells"], id="a docstring"),
        pytest.param("told = 1  # nobody knows", ["nobody"], id="a comment"),
        pytest.param("print(f'{told} is no guid')", ["is no"], id="the text of an f-string"),
        pytest.param("told = {'told': nobody}", [], id="names"),
    ],
)
def test_of_python_comments_and_strings_are_read(tmp_path: Path, text: str, words: list[str]) -> None:
    assert found(tmp_path / "module.py", f"{text}\n") == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('"""It tells all."""', ["tells"], id="the docstring of a module"),
        pytest.param('def stop() -> None:\n    """It goes on."""', ["goes on"], id="a docstring"),
        pytest.param("told = 1  # nobody knows", ["nobody"], id="a comment"),
        pytest.param("async def test_somebody_waits() -> None: ...", ["somebody"], id="the name of a test"),
        pytest.param("told = ['nobody knows',\n'it is no guid']", [], id="other strings"),
    ],
)
def test_of_tests_comments_docstrings_and_names_are_read(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "test_module.py"
    path.write_text(f"{text}\n", encoding="utf-8")
    assert [one.words for one in check(of_tests(path), path.name)] == words
