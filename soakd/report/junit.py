"""The verdict as JUnit XML, for pipelines that read nothing else: a suite an engine, a case a check."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from soakd.verdict.severity import may_decide


def junit(verdict: Mapping[str, Any]) -> str:
    """Write a verdict as JUnit XML.

    FAIL is a failure, INVALID an error. INCONCLUSIVE and INCOMPLETE are failures too where they decide: a pipeline
    that reads "skipped" as success would take missing evidence for a pass. Informational checks are never failures.
    """
    suites = ET.Element("testsuites", name=f"soakd {verdict['run_id']}")
    for engine in verdict.get("engines", []):
        _add_suite(suites, engine["name"], engine["checks"], engine["role"])
    if fates := verdict.get("waivers"):
        _add_waivers(suites, fates)
    whole = {"id": "verdict", "verdict": verdict["verdict"], "reason": verdict["summary"]}
    _add_suite(suites, "run", [*verdict.get("checks", []), whole])
    for count in ("tests", "failures", "errors", "skipped"):
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    ET.indent(suites)
    return _xml_text(ET.tostring(suites, encoding="unicode", xml_declaration=True)) + "\n"


def _add_waivers(suites: ET.Element, fates: Sequence[Mapping[str, Any]]) -> None:
    """Write what became of every waiver: passed where it was of use, else skipped with the reason. None fails."""
    suite = ET.SubElement(suites, "testsuite", name="waivers")
    for fate in fates:
        case = ET.SubElement(suite, "testcase", classname="soakd.waivers", name=fate["name"])
        if fate["state"] != "used":
            why = [each["why"] for each in fate.get("beyond", [])] + [fate.get("why", "")]
            message = f"{fate['state']}: {'; '.join(filter(None, why))} (expires {fate['expires']})"
            ET.SubElement(case, "skipped", message=message)
    suite.set("tests", str(len(fates)))
    suite.set("failures", "0")
    suite.set("errors", "0")
    suite.set("skipped", str(sum(fate["state"] != "used" for fate in fates)))


def _xml_text(text: str) -> str:
    """Replace what XML cannot hold or a terminal would obey: control characters that a message may bring along."""
    return "".join(c if c in "\t\n" or c.isprintable() else "\ufffd" for c in text)


def _add_suite(suites: ET.Element, name: str, checks: Sequence[Mapping[str, Any]], role: str = "subject") -> None:
    suite = ET.SubElement(suites, "testsuite", name=name)
    outcomes = [_add_case(suite, name, check, deciding=may_decide(role, check["id"])) for check in checks]
    suite.set("tests", str(len(outcomes)))
    for attribute, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(outcomes.count(outcome)))


def _add_case(suite: ET.Element, name: str, check: Mapping[str, Any], *, deciding: bool) -> str:
    case = ET.SubElement(suite, "testcase", classname=f"soakd.{name}", name=check["id"])
    outcome = _outcome(check, deciding=deciding and not check.get("informational", False))
    if outcome != "passed":
        text = f"{check['verdict']}: {_numbers(check)}"
        ET.SubElement(case, outcome, message=" ".join(filter(None, (text, check.get("reason", "")))))
    return outcome


def _outcome(check: Mapping[str, Any], *, deciding: bool) -> str:
    if check["verdict"] == "PASS":
        return "passed"
    if not deciding:
        return "skipped"
    return "error" if check["verdict"] == "INVALID" else "failure"


def _numbers(check: Mapping[str, Any]) -> str:
    if check.get("estimate") is None:
        return "not measured;"
    limit = f", limit {check['limit']:g}" if check.get("limit") is not None else ""
    return f"{check['estimate']:g} {check.get('unit', '')}{limit};"
