"""What a run does outside of its orchestrators: each activity takes one value, returns one, and is safe to repeat."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from linker.core.model import Ticket
from linker.core.runs import activity_values as v
from linker.core.runs import generation_values as t
from linker.deps import Deps
from linker.durable.activities import (
    discover_tables,
    find_orphaned_links,
    link_shard,
    prepare_table,
    run_lifecycle,
    scan_mapping,
    touch_profiles,
    unlink_table,
)

type Activity = Callable[[Deps, Any], Awaitable[object]]

# Name in durable histories: what it does, and the type of its input. A name stays as long as a history may hold it.
ACTIVITIES: Final[Mapping[str, tuple[Activity, type[Any]]]] = {
    "begin_run": (run_lifecycle.begin_run, Ticket),
    "renew": (run_lifecycle.renew, v.Beat),
    "settle": (discover_tables.settle, v.SettleTask),
    "survey": (discover_tables.survey, v.RunRef),
    "prepare_table": (prepare_table.prepare_table, v.TableTask),
    "scan_slice": (scan_mapping.scan_slice, v.SliceTask),
    "plan_shards": (scan_mapping.plan_shards, v.ShardsTask),
    "link_shard": (link_shard.link_shard, v.ShardTask),
    "unlink_table": (unlink_table.unlink_table, t.UnlinkTask),
    "find_strays": (find_orphaned_links.find_strays, t.StraysTask),
    "plan_touch": (touch_profiles.plan_touch, t.TouchRef),
    "touch_profiles": (touch_profiles.touch_profiles, t.TouchTask),
    "report_touch": (touch_profiles.report_touch, t.TouchReport),
    "report": (run_lifecycle.report, v.Report),
    "end_table": (run_lifecycle.end_table, v.TableEnd),
    "end_run": (run_lifecycle.end_run, v.Ending),
    # Activities of earlier versions, for runs that were in progress when the app was updated.
    "link_page": (run_lifecycle.give_way, v.RunRef),
    "split_pages": (run_lifecycle.give_way, v.RunRef),
}
