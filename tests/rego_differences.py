"""Asks regorus (as `policy.regorus` does) and a real OPA for the same snippets, and says how the answers differ."""

import http.client
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from soakd._native import UNDEFINED, Policy
from tests.rego_snippets import INPUT, SNIPPETS

Kind = Literal["value", "undefined", "error", "refused"]
LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Answer:
    """What an engine makes of a snippet: a value, undefined, an error, or a refusal to compile it."""

    kind: Kind
    value: Any = None

    def __str__(self) -> str:
        if self.kind != "value":
            return self.kind
        text = json.dumps(self.value, ensure_ascii=False)
        return f"`{text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + ' ...'}`"

    def same_as(self, other: "Answer") -> bool:
        """Whether two answers are one; a whole number and a float of the same value are."""
        return self.kind == other.kind and _is_same(self.value, other.value)

    @property
    def allows(self) -> bool:
        """Whether a service that asks for this rule would let the request through."""
        return self.kind == "value" and self.value is not False


def module_of(snippet: str) -> str:
    """Make a module of a snippet; an expression becomes `result := ...`."""
    has_result = re.search(r"^result\b", snippet, re.MULTILINE)
    return f"package snippet\n\n{'' if has_result else 'result := '}{snippet}\n"


def ask_regorus(snippet: str) -> Answer:
    try:
        policy = Policy({"snippet.rego": module_of(snippet)}, "data.snippet.result")
    except ValueError:
        return Answer("refused")
    try:
        value = policy.decide(INPUT)
    except ValueError:
        return Answer("error")
    return Answer("undefined") if value is UNDEFINED else Answer("value", value)


class Opa:
    """A real OPA server, with its defaults."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def ask(self, snippet: str) -> Answer:
        status, _ = self._request("PUT", "/v1/policies/snippet", module_of(snippet).encode())
        if status != http.client.OK:
            return Answer("refused")
        status, answer = self._request("POST", "/v1/data/snippet/result", json.dumps({"input": INPUT}).encode())
        if status != http.client.OK:
            return Answer("error")
        return Answer("value", answer["result"]) if "result" in answer else Answer("undefined")

    def close(self) -> None:
        self._connection.close()

    def _request(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")


def ask_both(url: str) -> Mapping[str, tuple[Answer, Answer]]:
    """Ask both for every snippet; by its name, regorus's answer and OPA's."""
    opa = Opa(url)
    try:
        return {name: (ask_regorus(snippet), opa.ask(snippet)) for name, snippet in SNIPPETS.items()}
    finally:
        opa.close()


def direction(regorus: Answer, opa: Answer) -> str:
    """Say what the difference means for who migrates from OPA."""
    if regorus.allows and not opa.allows:
        return "**more permissive**"
    if regorus.kind in ("error", "refused"):
        return "error, where OPA has a value" if opa.kind == "value" else "error"
    if opa.allows and not regorus.allows:
        return "stricter"
    return "another value"


def table(answers: Mapping[str, tuple[Answer, Answer]]) -> str:
    """Return the rows of what differs, the permissive ones first."""
    return "\n".join([
        f"Of {len(answers)} snippets, {sum(not a.same_as(b) for a, b in answers.values())} are decided differently:",
        "",
        "| snippet | Rego | `policy.regorus` | OPA | direction |",
        "|---|---|---|---|---|",
        *sorted(_rows(answers), key=lambda row: ORDER.index(row.rsplit(" | ", 1)[1].removesuffix(" |"))),
    ])  # fmt: skip


ORDER = ["**more permissive**", "stricter", "another value", "error, where OPA has a value", "error"]


def _rows(answers: Mapping[str, tuple[Answer, Answer]]) -> Iterator[str]:
    for name, (regorus, opa) in answers.items():
        if not regorus.same_as(opa):
            rego = SNIPPETS[name].replace("\n\n", "; ").replace("\n\t", " ").replace("\n", " ")
            cells = [name, f"`{rego}`", str(regorus), str(opa), direction(regorus, opa)]
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _is_same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True) or (
        type(one) in (int, float) and type(other) in (int, float) and one == other
    )
