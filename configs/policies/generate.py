"""Make policies of any size, and the data of the policies that ship. The same seed gives the same file.

generate.py policy --size 10MB --shape distinct --output big.rego     rule: data.generated.allow
generate.py data rbac --output rbac.json
generate.py data tenants --output tenants.json
"""

import argparse
import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from soakd.units import parse_size
from soakd.worker.load.mixes import ACTIONS, DOCUMENTS, PROJECTS, RESOURCES, TENANTS, USERS

Draw = Callable[[], float]
HEAD = "package generated\n\ndefault allow := false\n\n"
ALL_ACTIONS = tuple(itertools.chain.from_iterable(ACTIONS.values()))
ROLES = ("viewer", "editor", "manager", "owner")
ASKED_RULES = 20
"""Of the distinct rules, `allow` asks so many: a large bundle of which one service uses a part."""
LARGEST_BYTES = 10_000_000


def main() -> int:
    """Write what the command line asks for."""
    options = _parser().parse_args()
    draw = random.Random(options.seed).random
    if options.what == "data":
        text = json.dumps(DATA[options.policy](draw), indent=1) + "\n"
    else:
        text = policy_text(options.shape, options.size, draw)
    if options.output is None:
        sys.stdout.write(text)
    else:
        options.output.write_text(text, encoding="utf-8")
    return 0


def policy_text(shape: str, size_bytes: float, draw: Draw) -> str:
    """Return a policy of a shape that is as large as `size_bytes` permits."""
    parts, used = [HEAD], len(HEAD)
    for part in SHAPES[shape](draw):
        if used + len(part) + len(TAILS.get(shape, "")) > size_bytes:
            break
        parts.append(part)
        used += len(part)
    return "".join(parts) + TAILS.get(shape, "")


def distinct_rules(draw: Draw) -> Iterator[str]:
    """Yield rules of as many names; `allow` asks the first few: a decision costs the same at any size."""
    for number in itertools.count():
        asked = number < ASKED_RULES
        ask = f"allow if permit_{number:06d}\n\n" if asked else ""
        yield f"{ask}permit_{number:06d} if {{\n{_condition(draw, of_one_user=not asked)}}}\n\n"


def same_rule(draw: Draw) -> Iterator[str]:
    """Yield bodies of one rule: a decision tries them one after the other, and costs as much as they are many."""
    while True:
        yield f"allow if {{\n{_condition(draw)}}}\n\n"


def table_rows(draw: Draw) -> Iterator[str]:
    """Yield rows of one large literal, which an interpreter may build anew in each decision."""
    yield "allow if grants[input.user][input.resource] == input.action\n\ngrants := {\n"
    for number in itertools.count():
        row = ", ".join(f'"{resource}": "{_pick(ALL_ACTIONS, draw)}"' for resource in RESOURCES)
        yield f'\t"user-{number:03d}": {{{row}}},\n'


def rbac_data(draw: Draw) -> Mapping[str, Any]:
    """Return roles that include each other, and users of which most are viewers."""
    grants = {
        "viewer": [("read", r) for r in RESOURCES] + [("list", r) for r in RESOURCES if r != "setting"],
        "editor": [(a, r) for a in ("create", "update") for r in ("document", "report")],
        "accountant": [(a, r) for a in ("create", "update", "delete") for r in ("invoice", "account")],
        "manager": [("delete", r) for r in ("document", "report")] + [("grant", "document"), ("configure", "report")],
        "owner": [("*", "*")],
    }
    includes = {"editor": ["viewer"], "accountant": ["viewer"], "manager": ["editor", "viewer"]}
    shares = (("viewer",) * 8, ("editor",) * 6, ("accountant",) * 2, ("manager",) * 2, ("owner",), ("nobody",))
    pool = tuple(itertools.chain.from_iterable(shares))
    users = {}
    for number in range(USERS):
        roles = sorted({_pick(pool, draw), _pick(pool, draw)} - {"nobody"}) if draw() < 0.25 else [_pick(pool, draw)]
        users[f"user-{number:03d}"] = {"roles": [role for role in roles if role != "nobody"]}
    all_roles = {
        role: {
            "grants": [{"action": action, "resource": resource} for action, resource in pairs],
            "includes": includes.get(role, []),
        }
        for role, pairs in grants.items()
    }
    return {"roles": all_roles, "users": users}


def tenants_data(draw: Draw) -> Mapping[str, Any]:
    """Return three organizations of three projects; one project in nine is frozen, one user in forty suspended."""
    organizations = {
        tenant: {
            "members": _members(draw, 0.45),
            "projects": {
                project: {
                    "frozen": (row, column) == (1, 2),
                    "members": _members(draw, 0.35),
                    "documents": {
                        f"doc-{number:04d}": {"members": _members(draw, 0.02), "legal_hold": draw() < 0.3}
                        for number in range(0, DOCUMENTS, 20)
                    },
                }
                for column, project in enumerate(PROJECTS)
            },
        }
        for row, tenant in enumerate(TENANTS)
    }
    suspended = [f"user-{number:03d}" for number in range(USERS) if draw() < 1 / 40]
    return {"organizations": organizations, "suspended": suspended}


SHAPES: Mapping[str, Callable[[Draw], Iterator[str]]] = {
    "distinct": distinct_rules, "same": same_rule, "table": table_rows,
}  # fmt: skip
TAILS: Mapping[str, str] = {"table": "}\n"}
DATA: Mapping[str, Callable[[Draw], Mapping[str, Any]]] = {"rbac": rbac_data, "tenants": tenants_data}


def _members(draw: Draw, share: float) -> dict[str, str]:
    pool = ("viewer",) * 4 + ("editor",) * 3 + ("manager",) * 2 + ("owner",)
    return {f"user-{number:03d}": _pick(pool, draw) for number in range(USERS) if draw() < share}


def _condition(draw: Draw, *, of_one_user: bool = True) -> str:
    user, action, resource = int(draw() * USERS), _pick(ALL_ACTIONS, draw), _pick(RESOURCES, draw)
    who = f'\tinput.user == "user-{user:03d}"\n' if of_one_user else ""
    return f'{who}\tinput.action == "{action}"\n\tinput.resource == "{resource}"\n'


def _pick(choices: tuple[str, ...], draw: Draw) -> str:
    return choices[int(draw() * len(choices))]  # not random.choice, whose sequence may change between versions


def _size(text: str) -> float:
    size_bytes = parse_size(text)
    if not 1_000 <= size_bytes <= LARGEST_BYTES:
        raise argparse.ArgumentTypeError(f"must be between 1kB and 10MB, got {text}")
    return size_bytes


def _parser() -> argparse.ArgumentParser:
    description, _, examples = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    policy = commands.add_parser("policy", help="a policy of a size, about the tape's users, actions and resources")
    policy.add_argument("--size", type=_size, default=1e6, help="such as 500kB or 10MB, the largest (default: 1MB)")
    policy.add_argument(
        "--shape", choices=SHAPES, default="distinct",
        help="distinct: many rules, few asked; same: one rule, many bodies; table: one large literal",
    )  # fmt: skip
    data = commands.add_parser("data", help="the data of a policy that ships")
    data.add_argument("policy", choices=DATA)
    for command in (policy, data):
        command.add_argument("--seed", type=int, default=1, help="(default: 1)")
        command.add_argument("--output", type=Path, help="file to write (default: standard output)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
