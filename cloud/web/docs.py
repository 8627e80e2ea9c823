"""The API's description: OpenAPI with our problem document, and a page to read and try it, without anything from elsewhere."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from cloud.web.deps import ACCESS_TOKEN
from cloud.web.errors import Problem
from cloud.web.idempotency import HEADER

_NO_REPEATS = "sessions"
_KEY_PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The same key and body within 24 hours give the same answer, and happen once; a random UUID does well.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}

ASSETS = Path(__file__).parent / "static" / "swagger-ui"
_ASSETS_PATH = "/docs/assets"

# Inline styles: Swagger UI sets some on its elements. Images as data: its icons.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Solar Hub API</title>
<link rel="icon" href="{_ASSETS_PATH}/favicon-32x32.png">
<link rel="stylesheet" href="{_ASSETS_PATH}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the description itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="{_ASSETS_PATH}/swagger-ui-bundle.js"></script>
<script src="{_ASSETS_PATH}/start.js"></script>
</body>
</html>
"""


class _Assets(StaticFiles):
    """Vendored files: a browser may keep them for a day."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response


async def _docs_page(_request: Request) -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": DOCS_POLICY})


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document, with the problem document as a named schema; built once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        for item in document["paths"].values():
            _describe_repeats(item.get("post"))
        app.openapi_schema = document
    return app.openapi_schema


def _describe_repeats(operation: dict[str, Any] | None) -> None:
    """The header is read where a transaction begins, not declared by each endpoint: say here who takes it."""
    takes_it = operation is not None and {ACCESS_TOKEN: []} in operation.get("security", ())
    if operation is not None and takes_it and _NO_REPEATS not in operation.get("tags", ()):
        operation.setdefault("parameters", []).append(_KEY_PARAMETER)


def install_docs(app: FastAPI) -> None:
    """Serve `/docs` and its files."""
    app.add_route("/docs", _docs_page, include_in_schema=False)
    app.mount(_ASSETS_PATH, _Assets(directory=ASSETS), name="docs-assets")

    def openapi() -> dict[str, Any]:
        return openapi_of(app)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
