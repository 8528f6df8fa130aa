"""`python -m tidewise` is `tidewise`."""

from tidewise.entry import main

if __name__ == "__main__":
    main()
