"""Training: the loop, the update rules, the data, and what is kept of a run.

Nothing here imports the layer API or a backend: a solver sees a model's ``loss`` and ``params``
only, so it trains whatever has those two.
"""
