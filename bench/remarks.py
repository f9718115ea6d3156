"""What docs/performance.md says about the shares beside their figures."""

PACE_AND_ENGINE = """The engine's own orchestrator, activities, writer, and limiter also run in virtual time, against the
limits of the sandbox (`tests/bench/test_virtual_engine.py`, which prints these seconds with `-s`). Rows cost ten times as much
as above and are a tenth as many, so the first requests of 100 rows take up to 5 s on four servers.

| Profile | Optimum, s | Pace alone, s | Engine, s |
| --- | ---: | ---: | ---: |
| Normal | 30.0 | 31.1 | 30.8 |
| Throttled | 46.0 | 54.5 | 55.2 |
| Two servers | 15.0 | 16.4 | 15.9 |
| Four servers | 18.8 | 23.3 | 22.4 |

A measured run takes longer. The sandbox counts what a write costs; the engine can only measure how long its answer takes, and
on busy cores that is more. In one run of the throttled profile beside other work, the engine measured 183 s for writes of which
the sandbox counted 120 s, so its first refusal showed a budget of 70 s instead of 40 s, and a second refusal followed. That run
took 96 s. Pauses were 22 s of it, and the optimum waits 16 s. After each pause, 1.5 s passed until shards wrote again.

Two profiles stay below their goals in virtual time too:

- **Throttled.** When a window's budget of 40 s is used up, the writes under way still end. The optimum uses that in each
  window: 8 s more. The pace lets in only what fits ([0041](decisions/0041-one-refusal-shows-the-limits.md)), since Microsoft
  does not document what happens to more. In a long run that is a share of 40/48, or 0.83, at most.
- **Noisy neighbor.** The pace alone reaches 0.72 beside a neighbor that never pauses. The neighbor's writes make those of the
  engine take up to 1.5 times as long. The first window still holds what the neighbor has not spent yet, so the first refusal
  shows a budget that is too large. Three more refusals correct it, and their pauses are most of what is lost.
"""
