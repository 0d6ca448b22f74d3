"""The functions of the API, a module for each family; import them from :mod:`convkit.api`.

A function reads its parameters (`convkit.calls.params`) and hands the call to
`convkit.calls.dispatch`. Nothing here computes.
"""
