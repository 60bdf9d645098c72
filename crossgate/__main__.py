"""`python -m crossgate`: the command line."""

from crossgate.command_line import main

if __name__ == "__main__":
    main()
