"""What setup.py needs to compile the kernels; never installed."""
