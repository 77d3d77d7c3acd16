"""Writes the dashboards; `make golden` does it too, and a test compares.

python -m grafana.build
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana import engine_dashboard, run_dashboard
from grafana.parts import ENGINE_UID, RUN_UID

FOLDER = Path(__file__).parent / "dashboards"
ANNOTATION_KEYS: Mapping[str, Mapping[str, Any]] = {
    "Phases": {"titleFormat": "{{phase}}", "step": "30s"},
    "Incidents": {"titleFormat": "{{kind}}", "step": "60s"},
    "Faults": {"titleFormat": "fault: {{kind}}", "step": "60s"},
    "Restarts": {"titleFormat": "{{engine}} was started again", "step": "60s"},
}
"""What Grafana's Prometheus data source understands in an annotation, and the SDK's type has no field for."""


def dashboards() -> dict[str, str]:
    """Return name -> the JSON of each dashboard."""
    return {RUN_UID: _to_json(run_dashboard.build()), ENGINE_UID: _to_json(engine_dashboard.build())}


def _to_json(dashboard: Dashboard) -> str:
    tree = json.loads(json.dumps(dashboard.build(), cls=JSONEncoder))
    for annotation in tree["annotations"]["list"]:
        annotation.update(ANNOTATION_KEYS[annotation["name"]])
    return json.dumps(tree, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in dashboards().items():
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
