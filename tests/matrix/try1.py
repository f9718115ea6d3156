import sys, time
from sandbox.config import SandboxConfig, changed
from sandbox.switches import registry
from tests.matrix.story import play
base = {"protection": False, "profile_table": "elastic", "mapping_table": "elastic"}
only = sys.argv[1:]
for s in [e for e in registry(SandboxConfig).values()]:
    if only and s.name not in only: continue
    for v in s.values:
        if v == s.default: continue
        t=time.time()
        try:
            told = play(changed(SandboxConfig(), {**base, s.name: v}))
        except BaseException as e:
            told = repr(e)
        print("OK " if told and getattr(told,'faults',1)==[] else "BAD", s.name, v, told, round(time.time()-t,1), flush=True)
