"""What the suite knows of each operation, a module each; `convkit.conformance.entries` has them."""
