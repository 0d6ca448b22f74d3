"""Backends made of other people's libraries, as a stranger would write them: nothing installed,
named as ``module:object``. They must pass the suite like any bundled one.
"""
