"""`solarhub tariffs`: the tariff data."""

import typer

from cloud.core.lazy import Later, LazyGroup


class TariffCommands(LazyGroup):
    """The commands, in the order in which help lists them."""

    later = (
        Later(
            "load",
            "cloud.billing.commands.stored:tariffs_load",
            "Bring the tariff data of this version of the program into the database; doing it again changes nothing.",
        ),
        Later(
            "list",
            "cloud.billing.commands.told:tariffs_list",
            "Which tariffs are on record, since when and from where; and for which categories there are none.",
        ),
        Later(
            "show",
            "cloud.billing.commands.told:tariffs_show",
            "One version of a tariff: its rates, its source, what goes with it on the day, and what is not on record.",
        ),
        Later(
            "diff",
            "cloud.billing.commands.told:tariffs_diff",
            "What changed in a tariff between two days; with --database alone: the database against the data of the program.",
        ),
        Later(
            "validate",
            "cloud.billing.commands.validate:tariffs_validate",
            "Find everything that is wrong with tariff data: form, sources, slabs, overlaps, gaps. Status 1 if anything is.",
        ),
        Later(
            "import-urdb",
            "cloud.billing.commands.urdb:import_urdb",
            "Take a tariff of the Utility Rate Database over, say what was left out, and price a meter's intervals with it.",
        ),
    )


tariffs = typer.Typer(cls=TariffCommands, help="Tariffs of the distribution companies.", no_args_is_help=True)
