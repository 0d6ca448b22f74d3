"""For each mutant, the problem of its report or a smaller one with the same trigger.

Beside it an ordinary problem, or one that just misses the trigger, on which the mutant is right.
"""

from __future__ import annotations

from conformance_mutants.happened.conv_witnesses import CONVOLUTIONS
from conformance_mutants.happened.pool_witnesses import POOLS

WITNESSES = {**CONVOLUTIONS, **POOLS}
