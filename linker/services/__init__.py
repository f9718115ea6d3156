"""One purpose each, made of core and adapters: facts, permits, run requests, preflight, setup, retention."""
