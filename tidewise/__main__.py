"""`python -m tidewise` is `tidewise`."""

from tidewise.cli import main

if __name__ == "__main__":
    main()
