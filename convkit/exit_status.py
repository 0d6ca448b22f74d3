"""Exit statuses of the command line, apart so that ``convkit --help`` imports no command."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
