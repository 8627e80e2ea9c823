"""Renders in a child process, so that a crash, a leak or an endless loop in a renderer cannot touch the worker."""

import asyncio
import sys

from cloud.reports.rules.document import ReportDocument
from shared.enums import ReportFormat
from shared.errors import SolarHubError

RENDER_TIMEOUT_S = 60.0
AVAILABLE = (ReportFormat.PDF,)
"""Formats that have a renderer."""
_LAST_CHARACTERS = 600


class RenderError(SolarHubError):
    """The file could not be made; the message says what the renderer said last."""


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
        raise RenderError(f"rendering {file_format.value} ended with code {child.returncode}: {said or 'no message'}")
    return output
