"""What runs on the cluster when a sweep was submitted: `python -m sweeps.cli.job`, on the head node."""

from trainer.working_directory import ignore_working_directory


def main() -> None:
    """Carries out the order that came with the job; nothing is imported before the working directory is ignored."""
    ignore_working_directory()
    from sweeps.cli.order import carry_out

    carry_out()


if __name__ == "__main__":
    main()
