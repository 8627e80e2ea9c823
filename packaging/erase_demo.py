"""Erase the embedded databases below a folder, even where the data itself is kept outside (see cloud/embedded)."""

import sys
from pathlib import Path

from cloud.embedded import EmbeddedServerError, erase_postgres


def main(folder: Path) -> int:
    """Erase each database below ``folder``; return 1 when one is in use."""
    for cluster in list(folder.rglob("cluster")):
        try:
            erase_postgres(cluster.parent)
        except EmbeddedServerError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
