"""`python -m edge_agent` is `solarhub-edge`."""

from edge_agent.cli import app

app()
