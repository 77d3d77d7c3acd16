"""`POST /api/v1/engines/NAME/snapshot {"deep": bool}`: a heap snapshot or a deep look on request."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

PATH = "/api/v1/engines/{name}/snapshot"
RULE = 'the body must be {"deep": true}, {"deep": false} or empty'

Take = Callable[[str, bool], Awaitable[tuple[int, Mapping[str, Any]]]]
"""Engine, deep -> a status and the answer."""


async def refuse(_name: str, _deep: bool) -> tuple[int, Mapping[str, Any]]:
    """Answer while no engine is running."""
    return 409, {"error": "the engines are not running"}


def handler(take: Take) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of the request."""

    async def snapshot(request: web.Request) -> web.Response:
        try:
            asked = await request.json() if request.can_read_body else {}
        except ValueError:
            return web.json_response({"error": RULE}, status=400)
        if not isinstance(asked, dict) or asked.keys() - {"deep"} or not isinstance(asked.get("deep", False), bool):
            return web.json_response({"error": RULE}, status=400)
        status, body = await take(request.match_info["name"], asked.get("deep", False))
        return web.json_response(dict(body), status=status)

    return snapshot
