"""The rendering process: a document as JSON on standard input, the file on standard output.

Started by `cloud.reports.render.process` as `python -m cloud.reports.render.child pdf`.
"""

import resource
import sys
from collections.abc import Callable

from cloud.reports.render.pdf import render_pdf
from cloud.reports.rules.document import ReportDocument
from shared.enums import ReportFormat

MEMORY_LIMIT_BYTES = 1 << 30
CPU_LIMIT_S = 60
"""Ends a renderer that goes round in circles, also when the worker that would end it has died."""

RENDERERS: dict[ReportFormat, Callable[[ReportDocument], bytes]] = {ReportFormat.PDF: render_pdf}


def main(format_name: str) -> None:
    """Render what stands on standard input.

    Args:
        format_name: value of a `ReportFormat` in `RENDERERS`.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    document = ReportDocument.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(RENDERERS[ReportFormat(format_name)](document))


if __name__ == "__main__":
    main(sys.argv[1])
