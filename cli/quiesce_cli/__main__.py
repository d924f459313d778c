"""The entry point: ``quiesce``, or ``python -m quiesce_cli``."""

import sys

MISSING = "error: the command line's own packages are not installed\nremedy: install them: pipx install '.[cli]'\n"
USAGE = 2


def main() -> None:
    """Run the command that was typed, and exit with its code."""
    try:
        import boto3  # noqa: F401, PLC0415
        import rich  # noqa: F401, PLC0415
        import typer  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        sys.stderr.write(MISSING)
        sys.exit(USAGE)
    from quiesce_cli.app import run  # noqa: PLC0415

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
