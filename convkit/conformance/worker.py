"""The script of the child process; see `convkit.conformance.child`. Nothing imports it."""

import sys

from convkit.conformance.child import main

main(sys.argv[1])
