"""The agent on the site: reads devices, keeps every reading, watches alert rules, shows a page, syncs to the cloud."""

import sys

# httpx imports its command line, and with it rich and pygments, as soon as these are installed (typer brings them): 4 MB that the
# agent would carry for nothing. None makes the import
# fail, which is what httpx itself provides for.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
