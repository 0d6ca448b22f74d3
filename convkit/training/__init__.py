"""Training: the loop, update rules, data sets, checkpoints and history.

Nothing here imports the layer API or a backend. A solver uses only a model's ``loss`` and
``params``, so it trains any object that has both.
"""
