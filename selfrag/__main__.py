"""`python -m selfrag` is the command `selfrag`."""

from selfrag.cli import main

if __name__ == "__main__":
    main()
