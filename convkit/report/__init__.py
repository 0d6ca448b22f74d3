"""Plots and the HTML report of a training run, and the folder that keeps a run.

Nothing here trains or computes a layer: it draws the contents of a `RunRecord`. matplotlib is used
through its object-oriented interface only, so there is no global state and no window, and drawing
is safe in threads.
"""
