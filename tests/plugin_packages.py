"""Packages that offer drivers, as an installer would install them: a module and its metadata in a folder on `sys.path`."""

from pathlib import Path
from textwrap import dedent

CHARGER = '''
    """A sample plug-in: a wall charger that is read through a file, in place of a socket."""

    from pathlib import Path

    from edge_agent.drivers.base import DeviceAnswer, DriverError


    class ChargerDriver:
        def __init__(self, path, clock):
            self.path = path
            self.clock = clock
            self.is_closed = False

        async def read(self):
            try:
                watts = int(self.path.read_text())
            except FileNotFoundError as error:
                raise DriverError(f"{self.path} is not there", retry=True, kind="refused") from error
            return DeviceAnswer({"load_power_kw": watts / 1000, "ac_voltage_v.l1": 230})

        async def close(self):
            self.is_closed = True


    def build(connection, device, clock):
        if "path" not in connection:
            raise DriverError(f"{device.name}: connection.path is missing", retry=False, kind="config")
        return ChargerDriver(Path(connection["path"]), clock)
'''


def install(folder: Path, package: str, source: str, **drivers: str) -> None:
    """Install one package.

    Args:
        folder: on `sys.path`.
        package: name of the distribution; its module is the same with underscores.
        source: of the module.
        drivers: name of each driver -> name in the module.
    """
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(dedent(source))
    info = folder / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    points = "".join(f"{name} = {module}:{target}\n" for name, target in drivers.items())
    (info / "entry_points.txt").write_text(f"[solarhub.drivers]\n{points}")
