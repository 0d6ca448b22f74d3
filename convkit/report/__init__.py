"""Pictures and the HTML report of a training run, and the folder a run is kept in.

Nothing here trains or computes a layer: it draws what a `RunRecord` holds.  matplotlib is used
through its object-oriented interface only, so there is no global state, no window and no thread
trouble.
"""
