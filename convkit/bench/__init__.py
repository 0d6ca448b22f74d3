"""Benchmarks: problems, paired timing of backends, and tables and pages of the results.

Layers are called through the public API, as a user calls them. A backend whose results are wrong is
never timed (:mod:`convkit.bench.check`). Only the compiled backend is known by its name: its loop
of multiply-adds gives the machine's peak (:mod:`convkit.bench.machine`), and the page reports what
it reaches of that peak (:mod:`convkit.bench.page`).
"""
