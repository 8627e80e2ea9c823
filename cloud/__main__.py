"""`python -m cloud` is the command `solarhub`."""

from cloud.cli import app

app()
