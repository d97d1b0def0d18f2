"""`python -m farero_container serve | train | unpack | inspect | pack | mend`."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Run the named program; each is imported alone, for a quick start."""
    name = arguments[0] if arguments else ""
    if name == "serve":
        from farero_container.serve import run as serve

        return serve.main()
    if name == "zygote" and len(arguments) == 2:
        from farero_container.serve import zygote

        return zygote.main(arguments[1])
    if name == "train":
        from farero_container.train import run as train

        return train.main()
    if name in ("unpack", "inspect", "pack", "mend"):
        from farero_container import archive_cli

        return archive_cli.main(arguments)
    print("usage: python -m farero_container serve | train | unpack | inspect | pack | mend")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
