"""What is wrong with plug-ins, environment and machine, and what to do about it."""
