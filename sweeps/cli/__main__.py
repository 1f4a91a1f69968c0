"""The command `sweeps`, also as `python -m sweeps.cli`; one that is interrupted as it is loaded says so as well."""

import sys

from trainer.working_directory import ignore_working_directory

INTERRUPTED = 130  # of `ExitCode`, which has not been loaded yet


def main() -> None:
    """Loads the command line and runs it; `python -m` has put the working directory first, before libraries."""
    try:
        ignore_working_directory()
        from sweeps.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
