"""Where `policy.regorus` and OPA part: exactly where docs/engines.md says so."""

from collections.abc import Mapping

import pytest

from tests.conftest import Golden
from tests.pages import with_block
from tests.rego_differences import Answer, ask_both, direction, table
from tests.rego_snippets import COLLECTIONS, LANGUAGE, SNIPPETS, STRINGS, UNDEFINED_INPUT, WRONG_TYPES
from tests.servers import opa_server

Answers = Mapping[str, tuple[Answer, Answer]]


@pytest.fixture(scope="module")
def answers() -> Answers:
    with opa_server() as server:
        return ask_both(server.url)


def test_there_are_snippets_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(SNIPPETS) == sum(map(len, (UNDEFINED_INPUT, WRONG_TYPES, LANGUAGE, STRINGS, COLLECTIONS))) > 300


def test_the_table_of_differences_is_the_documented_one(answers: Answers, golden: Golden) -> None:
    golden("../../docs/engines.md", with_block("differences", "engines.md", table(answers)))


def test_no_snippet_is_one_that_both_refuse_to_compile(answers: Answers) -> None:
    assert [name for name, pair in answers.items() if {answer.kind for answer in pair} == {"refused"}] == []


def test_regorus_is_more_permissive_only_where_an_input_is_missing_or_odd(answers: Answers) -> None:
    """A service that migrates must know every one of these by name."""
    permissive = {
        name
        for name, (regorus, opa) in answers.items()
        if not regorus.same_as(opa) and "permissive" in direction(regorus, opa)
    }
    assert {"not startswith of a missing value", "not unequal of a missing value"} <= permissive
    assert permissive - set(UNDEFINED_INPUT) == PERMISSIVE_ELSEWHERE


PERMISSIVE_ELSEWHERE = {
    "an index that is a float",
    "regex.match of a digit beyond ASCII",
    "regex.match of letters beyond ASCII",
    "regex.match of white space beyond ASCII",
    "to_number of a padded text",
}
