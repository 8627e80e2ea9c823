"""The command `solarhub`: what it can do, by name. Each command is imported when it is run; see `cloud/core/lazy.py`."""

from typing import Annotated

import typer

from cloud import __version__
from cloud.core.lazy import Later, LazyGroup


class Commands(LazyGroup):
    """All commands, in the order in which help lists them."""

    later = (
        Later(
            "serve",
            "cloud.cli.serve:serve",
            "Serve the API. Run as many processes as needed, behind any load balancer.",
        ),
        Later(
            "worker",
            "cloud.cli.worker:worker",
            "Run the tasks that requests and the scheduler ask for. Run as many processes as needed.",
        ),
        Later(
            "scheduler",
            "cloud.cli.scheduler:scheduler",
            "Find work that is due. One process is enough; a second one does no harm.",
        ),
        Later(
            "migrate",
            "cloud.cli.database:migrate",
            "Bring the database to this version of the program, with its tariff data (SOLARHUB_ADMIN_DATABASE_URL).",
        ),
        Later(
            "create-admin",
            "cloud.cli.admin:create_admin",
            "Make an account a super administrator, or give an existing one that role and a new password.",
        ),
        Later(
            "new-secret-key",
            "cloud.cli.secret_key:new_secret_key",
            "Print a new value for SOLARHUB_SECRET_KEY. Keep it: without it stored device passwords cannot be read.",
        ),
        Later(
            "demo",
            "cloud.cli.demo:demo",
            "A simulated home, its agent and the cloud on this machine, live until Ctrl-C; or one whole day of it, checked.",
        ),
        Later(
            "finance",
            "cloud.billing.commands.finance:finance",
            "Payback, net present value, internal rate and cost of a kWh, from a price and a year's savings or twelve pairs of bills.",
        ),
        Later(
            "bill",
            "cloud.billing.commands.bill:bill",
            "The bill that the distribution company would send, from one case: tariff, period, units. CASE.md describes the format.",
        ),
        Later("bills", "cloud.billing.commands.bills:bills", "The bills of sites."),
        Later("tariffs", "cloud.billing.commands.tariffs:tariffs", "Tariffs of the distribution companies."),
        Later("telemetry", "cloud.cli.telemetry:telemetry", "Readings and what is computed from them."),
        Later("db", "cloud.cli.database:database", "The database itself."),
    )


app = typer.Typer(
    name="solarhub",
    cls=Commands,
    help="Solar Hub's cloud: from readings to energy, bills and reports.",
    no_args_is_help=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Solar Hub's cloud: from readings to energy, bills and reports."""
