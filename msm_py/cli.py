"""The command ``msm``."""


def main() -> None:
    """Run the command line."""
