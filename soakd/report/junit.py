"""The verdict as JUnit XML: one suite per engine, one case per check."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from soakd.verdict.check import Check
from soakd.verdict.rows import CheckRow, engine_rows, run_rows
from soakd.verdict.types import Verdict, WaiverFate


def junit(verdict: Verdict) -> str:
    """Write a verdict as JUnit XML.

    FAIL is a failure, INVALID an error. INCONCLUSIVE and INCOMPLETE are failures too where they decide: a pipeline
    that reads "skipped" as success would read missing evidence as a pass. Informational checks are never failures.
    """
    suites = ET.Element("testsuites", name=f"soakd {verdict.run_id}")
    for engine in verdict.engines:
        _add_suite(suites, engine.name, engine_rows(engine))
    if verdict.waivers:
        _add_waivers(suites, verdict.waivers)
    whole = Check(id="verdict", verdict=verdict.verdict, reason=verdict.summary)
    _add_suite(suites, "run", run_rows([*verdict.checks, whole]))
    for count in ("tests", "failures", "errors", "skipped"):
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    ET.indent(suites)
    return _xml_text(ET.tostring(suites, encoding="unicode", xml_declaration=True)) + "\n"


def _add_waivers(suites: ET.Element, fates: Sequence[WaiverFate]) -> None:
    """Add the waivers: one that was used passes, any other is skipped with the reason. None fails."""
    suite = ET.SubElement(suites, "testsuite", name="waivers")
    for fate in fates:
        case = ET.SubElement(suite, "testcase", classname="soakd.waivers", name=fate.name)
        if fate.state != "used":
            message = f"{fate.state}: {'; '.join(fate.reasons)} (expires {fate.expires})"
            ET.SubElement(case, "skipped", message=message)
    suite.set("tests", str(len(fates)))
    suite.set("failures", "0")
    suite.set("errors", "0")
    suite.set("skipped", str(sum(fate.state != "used" for fate in fates)))


def _xml_text(text: str) -> str:
    """Replace control characters, which XML cannot hold and a terminal would obey."""
    return "".join(c if c in "\t\n" or c.isprintable() else "\ufffd" for c in text)


def _add_suite(suites: ET.Element, name: str, rows: Sequence[CheckRow]) -> None:
    suite = ET.SubElement(suites, "testsuite", name=name)
    outcomes = [_add_case(suite, row) for row in rows]
    suite.set("tests", str(len(outcomes)))
    for attribute, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(outcomes.count(outcome)))


def _add_case(suite: ET.Element, row: CheckRow) -> str:
    case = ET.SubElement(suite, "testcase", classname=f"soakd.{row.engine}", name=row.id)
    outcome = _outcome(row)
    if outcome != "passed":
        aside = "informational" if row.informational else ""
        numbers = (f"{row.state}: {row.estimate or 'not measured'}", f"limit {row.limit}" if row.limit else "")
        message = "; ".join(filter(None, (", ".join(filter(None, numbers)), aside, row.reason)))
        ET.SubElement(case, outcome, message=message)
    return outcome


def _outcome(row: CheckRow) -> str:
    if row.verdict == "PASS":
        return "passed"
    if not row.decides:
        return "skipped"
    return "error" if row.verdict == "INVALID" else "failure"
