"""The path of one call, from raw arguments to a checked result.

In the order in which a call meets them: `params` merges the parameter dictionary, `dispatch` looks
the call up, `arrays` converts what is not as backends get it, `planner` makes a `plan` of a problem
not met before, with `fallback`, `verifier` and `tracing` where they are wanted, `results` checks
what the backend returned, and a `cache` takes it to the backward call (or through `pickling` to
another process).
"""
