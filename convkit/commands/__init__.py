"""One module per command of the command line.

`convkit.cli` imports each by its name when it is asked for.  Only this package and `convkit.cli`
import click.
"""
