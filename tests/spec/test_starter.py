"""The answers to the prompts of `nlbgen init`, each checked by the type of its key."""

import pytest

from nlbgen.spec.starter import problem_of


@pytest.mark.parametrize(
    "name, answer",
    [
        ("host", "orchestrator.corp.example"),
        ("address", "*"),
        ("node", "2001:db8::11"),
        ("orchestrator", "2019.4"),
        ("redis", "redis-1.corp.example"),
        ("redis", "redis-1:6379, [2001:db8::7]:6380"),
    ],
)
def test_valid_answer_has_no_problem(name: str, answer: str) -> None:
    assert problem_of(name, answer) == ""


@pytest.mark.parametrize(
    "name, answer, problem",
    [
        ("host", "two words", "is not a host name"),
        ("node", "two words", "is not an IPv4 or IPv6 address or a host name"),
        ("orchestrator", "newest", "is not a version: write numbers"),
        ("orchestrator", "2019.99", "2019.99 is not a version of Orchestrator"),
        ("redis", "redis-1, two words", '"two words" is not an IPv4 or IPv6 address or a host name'),
        ("redis", "redis-1:port", '"redis-1:port" is not an endpoint'),
    ],
)
def test_invalid_answer_has_a_problem_that_names_it(name: str, answer: str, problem: str) -> None:
    assert problem in problem_of(name, answer)
