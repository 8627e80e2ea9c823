"""Renders in a child process, so that a crash, a leak or an endless loop in a renderer cannot touch the worker."""

import asyncio
import os
import sys

from cloud.core.log import get_logger
from cloud.reports.rules.document import ReportDocument
from shared.enums import ReportFormat
from shared.errors import SolarHubError

RENDER_TIMEOUT_S = 60.0
AVAILABLE = (ReportFormat.PDF,)
"""Formats that have a renderer."""
_LAST_CHARACTERS = 600
_OUR_SETTINGS = "SOLARHUB_"

_log = get_logger(__name__)


class RenderError(SolarHubError):
    """The file could not be made; the message is for people, what the renderer said is in the log."""


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.kill()
        await child.wait()


async def render(
    document: ReportDocument,
    file_format: ReportFormat,
    *,
    timeout_s: float = RENDER_TIMEOUT_S,
    module: str | None = None,
) -> bytes:
    """Turn a document into a file.

    Args:
        document: what to render.
        file_format: one of `AVAILABLE`.
        timeout_s: the child is ended after this.
        module: the child's module, for tests of a child that misbehaves.

    Raises:
        RenderError: if the child fails, is killed, runs out of time or writes nothing.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module or "cloud.reports.render.child",
        file_format.value,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # It works on what people wrote: it gets no password of the database and no key.
        env={name: value for name, value in os.environ.items() if not name.startswith(_OUR_SETTINGS)},
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, complaints = await child.communicate(document.model_dump_json().encode())
    except TimeoutError as error:
        raise RenderError(
            f"rendering {file_format.value} took longer than {timeout_s:g} s; choose a shorter period or fewer sites"
        ) from error
    finally:
        await _end(child)
    if child.returncode != 0 or not output:
        said = complaints.decode(errors="replace").strip()[-_LAST_CHARACTERS:]
        _log.error("renderer_failed", format=file_format.value, exit_code=child.returncode, said=said)
        raise RenderError(
            f"rendering {file_format.value} ended with code {child.returncode}; the worker's log says why"
        )
    return output
