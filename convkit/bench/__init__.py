"""The stopwatch: problems, paired timing of backends, and tables of what came out.

It goes through convkit's public API, as a user would, and must never time a backend whose answers
are wrong (:mod:`convkit.bench.check`). It knows no backend by name but the one whose multiply-add
loop gives the machine's peak (:mod:`convkit.bench.machine`).
"""
