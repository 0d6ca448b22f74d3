"""``python -m convkit`` is the ``convkit`` script."""

from convkit.cli import main

if __name__ == "__main__":
    main()
