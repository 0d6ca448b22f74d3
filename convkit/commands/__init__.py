"""One module per command of the command line.

`convkit.cli` imports each by its name on demand. Only this package and `convkit.cli` import click.
A command parses its options, calls the packages below, and prints.
"""
