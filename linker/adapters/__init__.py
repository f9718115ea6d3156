"""One module or folder for each outside system. Adapters talk; they decide nothing that core can decide."""
