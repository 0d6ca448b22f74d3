"""The files that ``convkit new-backend`` writes; ``$name`` and the like are filled in."""
