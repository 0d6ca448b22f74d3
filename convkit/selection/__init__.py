"""Who chooses a backend, and which one wins.

In the order in which a choice takes its course: `request` reads it, `scope` holds the levels at
which one can be made, `resolve` compares the candidates, `outcome` says how it ended, `transfer`
takes the choice to other threads, processes and files.
"""
