"""What taking a demand or guarantee of docs/dev/proofs.md back looks like: one small change of the code each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """`old` stands once in `file` and becomes `new`; some test of `proof` must fail then."""

    proof: str
    file: str
    old: str
    new: str


_SHARD = "linker/durable/activities/link_shard.py"
_OUTCOMES = "linker/durable/outcomes.py"
_STAGED = "linker/durable/staged.py"
_SCANNING = "linker/durable/activities/scan_mapping.py"
_SCAN = "linker/durable/orchestrators/scanning.py"
_STAGING = "linker/adapters/storage/staging.py"
_WRITING = "linker/durable/writes.py"
_ATTEMPT = "linker/durable/attempt.py"
_LIFE = "linker/durable/activities/run_lifecycle.py"
_VERDICT = "linker/core/runs/lifecycle.py"
_PROGRESS = "linker/core/runs/history.py"
_STATUS_VIEW = "linker/entrypoints/portal/views/status_view.py"
_TEMPLATES = "linker/entrypoints/portal/templates"
_MODES = "linker/core/linking/mapping_scan.py"
_ISOLATION = "linker/durable/isolation.py"
_ORPHANS = "linker/durable/activities/find_orphaned_links.py"
_RESOLVING = "linker/durable/staged.py"
_PREPARE = "linker/durable/activities/prepare_table.py"
_UNLINK = "linker/durable/activities/unlink_table.py"
_WEB_API = "linker/adapters/dataverse/web_api.py"
_CLIENT = "linker/adapters/dataverse/client.py"
_PERMISSION = "linker/core/permissions/write_permission.py"
_PACE = "linker/core/throttling/pace.py"
_LOCK = "linker/core/runs/run_lock.py"
_TRIGGERS = "linker/services/housekeeping.py"
_GENERATION = "linker/durable/orchestrators/generation.py"
_RUN = "linker/durable/orchestrators/run.py"

MUTATIONS = (
    # ---- demands ----
    Mutation("D1", _WRITING, "return {row: link for row, link in links.items() if row not in stored}", "return {}"),
    Mutation("D1", _VERDICT, "if end.totals.lost:", "if False:"),
    Mutation("D2", _WEB_API, '"CustomSync,CustomAsync"', '"CustomSync"'),
    Mutation(
        "D3",
        _WEB_API,
        'headers = {"If-Match": etag, **self.connection.extra_headers, **self.write_headers}',
        'headers = {"If-Match": etag, **self.connection.extra_headers}',
    ),
    Mutation(
        "D3",
        _WEB_API,
        'headers = {"Content-Type": "application/json", **self.write_headers}',
        'headers = {"Content-Type": "application/json"}',
    ),
    Mutation("D4", "linker/core/throttling/width.py", "if is_slow or is_due:", "if False:"),
    Mutation("D4", "linker/core/throttling/width.py", "fitting = int(TARGET_S / control.row_s)", "fitting = LARGEST"),
    Mutation("D5", _PROGRESS, "paused_until=iso(now + news.paused_s) if news.paused_s else None", "paused_until=None"),
    Mutation(
        "D5", "linker/entrypoints/portal/views/progress_view.py", "until if until and until > now else None", "until"
    ),
    Mutation("D6", _PROGRESS, "round(done / news.seconds, 1) if news.seconds > 0 else 0.0", "0.0"),
    Mutation(
        "D7", "linker/core/throttling/error_classification.py", "({_DEADLOCK}, Answer.RETRY)", "(set(), Answer.RETRY)"
    ),
    Mutation("D7", _PACE, "max(SMALLEST, control.batch // 2)", "control.batch"),
    Mutation("D8", _ISOLATION, "refused |= dict.fromkeys(bad, error)", "return dict.fromkeys(links, error)"),
    Mutation("D8", _ISOLATION, "half = len(rows) // 2", "half = 1"),
    Mutation(
        "D9",
        "linker/adapters/dataverse/lookup_column.py",
        'return ours[0]["ReferencingEntityNavigationPropertyName"]',
        "return LOOKUP_SCHEMA_NAME",
    ),
    Mutation(
        "D10",
        "linker/core/linking/shards.py",
        "invalid[row.identity] = row.text",
        "invalid[row.identity + bytes([len(invalid)])] = row.text",
    ),
    Mutation(
        "D10", "linker/core/linking/shards.py", "min(before, row.claim, key=_rank)", "max(before, row.claim, key=_rank)"
    ),
    Mutation(
        "D11", "linker/core/linking/hash_blocks.py", "and row[0].is_confirmed and row[0].wish == wish", "and False"
    ),
    Mutation(
        "D12",
        _CLIENT,
        "rows = [{key: row, bind: to}",
        'rows = [{key: row, "description": "", bind: to}',
    ),
    Mutation("D13", _OUTCOMES, "if counts.rows_read != counts.outcomes:", "if False:"),
    Mutation("D14", _UNLINK, "if departed + earlier > most_share * (rows + earlier):", "if False:"),
    Mutation("D14", _UNLINK, "if departed >= rows:", "if False:"),
    Mutation("D15", _SHARD, "for key in written.linked:\n            entry", "for key in links:\n            entry"),
    Mutation("D16", _LIFE, 'replace(state, epoch="", linked=', "replace(state, linked="),
    Mutation("D17", _GENERATION, "room = GENERATION_SHARDS", "room = 100 * GENERATION_SHARDS"),
    Mutation("D17", _GENERATION, "return not self.stop and self.calls < MAX_CALLS", "return not self.stop"),
    Mutation("D17", _SCAN, "return not self.stop and self.calls < MAX_CALLS", "return not self.stop"),
    Mutation(
        "D17",
        _SCAN,
        "{(share.table, number): share.tries for share, number in streams if share.tries}",
        "dict[tuple[str, int], int]()",
    ),
    Mutation("D17", _RUN, "room = Room(UNLINK_CALLS)", "room = Room(100_000)"),
    Mutation("D18", _PACE, "return Room(0.0, width_at(control, now_s))", "return Room(0.0, 1)"),
    Mutation("D19", _SCAN, "TABLES_HELD = 6", "TABLES_HELD = 60"),
    Mutation("D20", "linker/services/housekeeping.py", "deleted == most.runs", "False"),
    Mutation("D20", "linker/services/housekeeping.py", "< now - _seconds_to_keep(deps, found)", "< 0"),
    Mutation("D21", _LOCK, "is_free = state.holder is None and ", "is_free = "),
    Mutation(
        "D22",
        "linker/adapters/storage/table_guards.py",
        "MAX_VALUE_BYTES: Final = 64 * 1024",
        "MAX_VALUE_BYTES: Final = 1024 * 1024",
    ),
    Mutation(
        "D22",
        "linker/adapters/storage/table_guards.py",
        "MAX_ENTITY_BYTES: Final = 1024 * 1024",
        "MAX_ENTITY_BYTES: Final = 2 * 1024 * 1024",
    ),
    Mutation("D22", "linker/adapters/storage/table_guards.py", "if _FORBIDDEN_IN_KEYS.search(key):", "if False:"),
    Mutation(
        "D22",
        "linker/core/throttling/error_classification.py",
        "if code == SQL_TIMEOUT or status == 413:",
        "if code == SQL_TIMEOUT:",
    ),
    Mutation("D23", _LOCK, "if dead is None or not (is_over or was_let_go):", "if True:"),
    Mutation("D23", _LOCK, " and oldest_s >= lease_s)", ")"),
    Mutation("D23", _LOCK, "unchanged_s >= lease_s or ", ""),
    Mutation(
        "D23",
        _TRIGGERS,
        "    await end_interrupted(deps)  # of a takeover whose watchdog died; the lock remembers the last one alone\n",
        "",
    ),
    Mutation("D24", "linker/adapters/storage/record_store.py", "SAMPLE_ROWS = 3", "SAMPLE_ROWS = 0"),
    Mutation(
        "D25",
        "linker/adapters/storage/record_store.py",
        "first_seen=known.issue.first_seen if known else self._now()",
        'first_seen=""',
    ),
    Mutation("D26", "docs/errors.md", "| `HeldBack` |", "| `Other` |"),
    Mutation("D27", "infra/prod.snapshot.json", '"linkerprod-permanent-failure"', '"linkerprod-other"'),
    Mutation(
        "D28",
        "linker/core/runs/history.py",
        "eta_seconds=_time_left(news, total, max_touches)",
        "eta_seconds=None",
    ),
    Mutation("D28", "linker/core/runs/history.py", "_per_cent(seconds_of(run), seconds_of(other))", "None"),
    Mutation(
        "D29",
        "linker/services/run_requests.py",
        "RunRequest(jobs=told.jobs, job_start",
        "RunRequest(jobs=(), job_start",
    ),
    Mutation("D30", "linker/core/roles.py", "self.role.rank >= needed.rank", "True"),
    Mutation("D30", "linker/entrypoints/serving.py", "    if not wanted.audited:\n", "    if True:\n"),
    Mutation("D30", "linker/entrypoints/portal/page_serving.py", "admit(caller, wanted.role)", "caller"),
    # ---- engine ----
    Mutation("G1", "requirements.txt", "durabletask==1.12.0", "durabletask>=1.12.0"),
    Mutation("G2", _GENERATION, "room = GENERATION_SHARDS", "room = 100 * GENERATION_SHARDS"),
    Mutation("G2", _GENERATION, "return not self.stop and ", "return "),
    Mutation("G2", _SHARD, "self.deps.clock() - self.began > LONG_TURN_S", "False"),
    Mutation("G3", "linker/core/runs/lock_state.py", "mode=max(first.mode", "mode=min(first.mode"),
    Mutation("G3", _LOCK, "if interruptions >= MAX_INTERRUPTIONS:", "if False:"),
    Mutation(
        "G3", _ATTEMPT, "if (self.block.header.digest, epoch) != (self._before.digest, self._before.epoch):", "if True:"
    ),
    Mutation("G3", _LOCK, "    if completed:\n", "    if True:\n"),
    Mutation("G4", "linker/core/throttling/width.py", "hint or UNHINTED", "UNHINTED"),
    Mutation("G4", _PACE, "if now_s < control.held_until_s:\n        return 0", "if False:\n        return 0"),
    Mutation("G4", _PACE, "if hint and hint != control.hint", "if False"),
    Mutation(
        "G4", "linker/core/throttling/allowance.py", "execution_s=max(seconds, FLOOR * window_s)", "execution_s=0.0"
    ),
    # ---- reading ----
    Mutation("G5", _CLIENT, "filter=columns.outside(found)", 'filter=""'),
    Mutation("G5", "linker/core/odata.py", "if may_be_pattern(text) else", "if False else"),
    Mutation(
        "G5",
        "linker/services/fact_gathering.py",
        "gone = [name for name in await deps.states.tables() if name not in there]",
        "gone: list[str] = []",
    ),
    Mutation("G6", _STAGING, "found is not None and found[0] == stream", "False"),
    Mutation(
        "G6", _STAGING, "await self._documents.save(row, stream, etag)", "await self._documents.save(row, stream)"
    ),
    Mutation(
        "G6",
        _STAGING,
        "if (int(number), int(at), attempt) in committed:\n                        yield Segment",
        "if True:\n                        yield Segment",
    ),
    Mutation("G6", _SCANNING, "if not stream.cursor or error.status not in (400, 404, 410):", "if True:"),
    Mutation("G6", _SCANNING, 'cursor="", slices=(), read=0,', 'cursor="", read=0,'),
    Mutation("G6", _SCANNING, "if link in seen:", "if False:"),
    Mutation("G6", _RESOLVING, "return same and not left.ended and", "return same and"),
    Mutation("G6", _RESOLVING, "== (question, secret, new.newest)\n", "== (question, secret, left.watermark)\n"),
    Mutation("G6", _RESOLVING, "if found is not None and _continues(", "if False and _continues("),
    Mutation("G6", _STAGING, "            before = await self._mark_ended(table, *before)\n", ""),
    Mutation("G6", _RESOLVING, "for span in spans] if once else [stream]", "for span in spans]"),
    Mutation("G6", "linker/core/odata.py", " or {self.key} eq null)", ")"),
    Mutation("G6", "linker/core/linking/mapping_scan.py", "max(0.0, state.watermark - OVERLAP_S)", "state.watermark"),
    Mutation("G6", "linker/core/linking/mapping_scan.py", "(bool(state.due), state.due)", "(False, state.due)"),
    Mutation("G6", "linker/core/linking/mapping_scan.py", "now - state.scanned_at >= rules.full_s", "False"),
    Mutation(
        "G7", "linker/core/linking/shards.py", "place_key(key) >> (PLACE_BITS - self.bits) == self.number", "True"
    ),
    Mutation(
        "G7", "linker/core/linking/shards.py", "digest_size=PLACE_BITS // 8", 'digest_size=PLACE_BITS // 8, person=b"x"'
    ),
    Mutation("G7", "linker/core/linking/mapping_scan.py", "(*self.earlier_bits, self.bits)", "self.earlier_bits"),
    Mutation("G7", "linker/core/linking/segments.py", "    if at + length > len(data):\n", "    if False:\n"),
    Mutation("G7", _SHARD, "staged.scan.earlier_bits)", "staged.scan.earlier_bits[:0])"),
    Mutation("G7", _SHARD, "\n        await current_scan(self.deps, self.task, again=True)\n", "\n"),
    Mutation("G7", _SHARD, "await current_scan(self.deps, self.task, again=True)  # all of", "pass  # all of"),
    Mutation("G7", _STAGED, "if scan is None or scan.ended:", "if scan is None:"),
    Mutation("G7", _SCANNING, "    if not scan.planned:\n", "    if True:\n"),
    Mutation("G7", "linker/adapters/storage/staging.py", "if known.planned:", "if True:"),
    Mutation(
        "G7", "linker/core/linking/segments.py", "return self.bits >= shard.bits or shard.holds(key)", "return True"
    ),
    Mutation("G7", _STAGING, "{buckets[-1]:05x}.", "{buckets[-1]:05x}-"),
    Mutation(
        "G8",
        "linker/durable/staged.py",
        "if fresh else None\n        telemetry",
        "if False else None\n        telemetry",
    ),
    Mutation("G8", "linker/core/linking/hash_blocks.py", " or _digest_of(packed) != header.digest", ""),
    # ---- knowing what changed ----
    Mutation("G9", _SHARD, "        await self.attempt.intend(entries, self.task.run, **self.outcomes.so_far())\n", ""),
    Mutation(
        "G9",
        "linker/core/linking/hash_blocks.py",
        "sorted({*row, Entry(wanted.wish, wanted.link | UNCONFIRMED)})",
        "sorted({Entry(wanted.wish, wanted.link | UNCONFIRMED)})",
    ),
    Mutation("G10", _ATTEMPT, "if header.attempt and header.until > now:", "if False:"),
    Mutation("G10", _ATTEMPT, "if self._deps.clock() + longest < self.block.header.until:", "if True:"),
    Mutation("G10", _SHARD, "if lost and work.sent:", "if False:"),
    Mutation("G11", _PREPARE, "        await mark_vanished(deps, dataverse, target, state)\n", "        pass\n"),
    Mutation(
        "G11",
        _STAGED,
        "keys = {*self._differing(staged.claims, block), *self._open(block)}",
        "keys = set(self._open(block))",
    ),
    Mutation(
        "G11",
        _STAGED,
        "keys = {*self._differing(staged.claims, block), *self._open(block)}",
        "keys = set(self._differing(staged.claims, block))",
    ),
    Mutation("G11", _SCANNING, "if header.unconfirmed and name", "if False and name"),
    Mutation("G12", _MODES, "    if not state.linked:\n        if because in", "    if False:\n        if because in"),
    Mutation("G12", _MODES, "    if column_is_new:\n", "    if False:\n"),
    Mutation("G12", _MODES, "    if state.epoch:\n", "    if False:\n"),
    Mutation("G12", _MODES, "    if because:\n", "    if False:\n"),
    Mutation("G12", _PREPARE, "starts_again = target.column_created or why in RESTARTS", "starts_again = False"),
    Mutation("G12", _PREPARE, "begun or not mode.compares_all", "not mode.compares_all"),
    Mutation("G12", _MODES, "return bool(state.schema and schema and state.schema != schema)", "return False"),
    Mutation("G12", _SHARD, 'self.deps.settings.full == "rewrite"', "False"),
    Mutation("G12", _SHARD, "block.header.epoch != self.task.epoch", "True"),
    Mutation(
        "G12",
        _SHARD,
        "        if self.task.dry_run:\n            self.outcomes.linked |= links.keys()",
        "        if False:\n            self.outcomes.linked |= links.keys()",
    ),
    Mutation("G13", _SHARD, "set() if self._rewrites() else await self._compare(plan.compare, wanted)", "set()"),
    Mutation(
        "G13",
        _WRITING,
        "if before is None or not (why := await _why_dead(dataverse, target, row, link, customers[row])):",
        "if True:",
    ),
    Mutation("G13", _WRITING, "    await _set_back(writer, row, before)\n    raise", "    raise"),
    Mutation("G13", _WRITING, "return scatter(links, CANARIES)", "return scatter(links, 1)"),
    Mutation("G13", _WRITING, "self.counts = Counts(rows_read=linked, linked=linked)", "self.counts = Counts()"),
    Mutation("G13", _GENERATION, "        if self.stop:\n            self._count_proofs()\n", ""),
    Mutation("G13", _OUTCOMES, "for key in [key for key, link in links.items() if link.partition]:", "for key in ():"),
    Mutation("G13", _GENERATION, "is_alone = table in self.unproven or", "is_alone ="),
    # ---- writing ----
    Mutation(
        "G14",
        _SHARD,
        "        written = await self._write_all(links, entries, claims, proves=proves) if links else Written()\n",
        "        await self.attempt.intend({key: (entry,) for key, entry in self._entries(links).items()}, self.task.run)\n"
        "        written = await self._write_all(links, {}, claims, proves=proves) if links else Written()\n",
    ),
    Mutation("G15", _CLIENT, 'etag="*")', 'etag="")'),
    Mutation("G16", _ISOLATION, "            if is_about_no_row(error):\n", "            if False:\n"),
    Mutation(
        "G17",
        _OUTCOMES,
        "self.earlier, self.drifted_before = min(header.linked, rows), header.drift",
        "pass",
    ),
    Mutation(
        "G17",
        _WRITING,
        "if row in live and is_stored(live[row], link, self.target)}",
        "}",
    ),
    Mutation("G17", _SHARD, "note_confirmed(plan.unchanged | known,", "note_confirmed(plan.unchanged,"),
    Mutation("G17", _SHARD, "self.target.column_created and stored.block.header.run != self.task.run", "True"),
    Mutation("G17", _WRITING, "written.doubtful.update(links)", "pass"),
    Mutation("G17", _WRITING, "if silent := missing.keys() & written.doubtful:", "if silent := set[RowKey]():"),
    Mutation("G18", _UNLINK, "if task.marks is not None and ", "if False and "),
    Mutation("G18", _UNLINK, "absent = [row for row in removed if row not in back]", "absent = list(removed)"),
    Mutation("G18", _CLIENT, "{bind: None}, etag)", '{bind: None}, "*")'),
    Mutation(
        "G18", _UNLINK, "return live.link is not None and names_link(", "return live.link is not None or names_link("
    ),
    Mutation("G18", _UNLINK, "departed <= one.most_rows and ", ""),
    Mutation("G18", _UNLINK, "(departed < rows or one.empty_mapping)", "True"),
    Mutation("G18", _LOCK, "    dead = replace(dead, request=replace(dead.request, unlink_allowed=()))\n", ""),
    Mutation("G18", _RUN, "if one.table == table and one.orphans", "if one.orphans"),
    Mutation("G18", _ORPHANS, "    if hidden:\n", "    if False:\n"),
    Mutation("G18", _ORPHANS, 'if any(orphans <= one.most_rows and one.seen in ("", digest)', "if any(one.seen"),
    Mutation("G18", _ORPHANS, "if profile not in living", "if profile"),
    Mutation(
        "G18",
        _ORPHANS,
        "await self._links([key async for key in self._find_unmapped(some)])",
        "await self._links(list(some))",
    ),
    Mutation("G18", _ORPHANS, "named |= rows & (", "named |= set() & ("),
    Mutation(
        "G18", _ORPHANS, "cleared |= etags.keys() - (await self._links(list(etags))).keys()", "cleared |= etags.keys()"
    ),
    Mutation("G18", _ORPHANS, "await mark_unconfirmed(self.deps, self.task.table, self.state, gone)", "pass"),
    Mutation("G19", _RESOLVING, 'issues[key] = ("ProfileMissing", f"The', 'issues[key] = ("AmbiguousProfile", f"The'),
    Mutation("G19", _RESOLVING, "if len(candidates) == 1:", "if candidates:"),
    Mutation(
        "G19",
        _RESOLVING,
        "believes, issues = trusting and target.names_profile,",
        "believes, issues = target.names_profile,",
    ),
    Mutation("G19", _RESOLVING, "if believes and claim.profile", "if False"),
    Mutation("G19", _LIFE, " or run.trigger == FOLLOW_UP", ""),
    Mutation("G20", _OUTCOMES, "if self.profiles and self.deps.settings.touch_profiles:", "if False:"),
    Mutation("G20", "linker/services/run_requests.py", "besides=we)", ")"),
    Mutation("G21", _PERMISSION, "if hold and not look.linked and ", "if False and "),
    Mutation("G21", _PERMISSION, "if not running and look.registered is not None:", "if False:"),
    Mutation("G22", _PERMISSION, '    if policy == "block":\n', "    if False:\n"),
    Mutation("G22", "linker/services/service_account.py", 'bypass=settings.automations == "bypass"', "bypass=False"),
    Mutation("G23", _VERDICT, "if counts.rows_read != counts.outcomes:", "if False:"),
    Mutation(
        "G23",
        _OUTCOMES,
        "replace(self.outcomes.counts, rows_read=rows_read)",
        "replace(self.outcomes.counts, rows_read=self.outcomes.counts.outcomes)",
    ),
    # ---- around ----
    Mutation(
        "G24", "linker/services/run_requests.py", "if overdue or await _have_moved(deps, task.marks)", "if overdue"
    ),
    Mutation("G24", "linker/services/run_requests.py", "if overdue or await", "if await"),
    Mutation(
        "G24",
        "linker/adapters/dataverse/change_times.py",
        '    yield odata.query(select="modifiedon,versionnumber", filter=others, **order)\n',
        "",
    ),
    Mutation("G25", "linker/services/service_account.py", 'f"{account.name}, through {real.name}"', "account.name"),
    Mutation("G26", "linker/settings.py", "insights_key: SecretStr | None", "insights_key: str | None"),
    # G27: the pages as they were, one untrue statement each
    Mutation("G27", _STATUS_VIEW, "if not is_live(run) and not run.dry_run), None)", "if not is_live(run)), None)"),
    Mutation("G27", _STATUS_VIEW, "self.dry is not None and self.dry.status in COMPARABLE", "True"),
    Mutation("G27", _PROGRESS, "return left if left >= 1 else None", "return left"),
    Mutation("G27", _PROGRESS, "run.status is Status.RETRYING\n", "False\n"),
    Mutation(
        "G27", _PROGRESS, "table.data_source, table.status, detail, mode", 'table.data_source, table.status, "", mode'
    ),
    Mutation(
        "G27",
        _PROGRESS,
        "return run.mode, run.dry_run, frozenset(run.requested_tables), done",
        "return run.mode, run.dry_run",
    ),
    Mutation("G27", "linker/core/permissions/preflight_report.py", '= "not checked"\n', '= "not set up"\n'),
    Mutation(
        "G27", "linker/durable/activities/discover_tables.py", 'with naming_privileges("of this app"):', "if True:"
    ),
    Mutation("G27", "linker/entrypoints/portal/views/progress_view.py", "table.rows_total or expected", "expected"),
    Mutation("G27", "linker/entrypoints/portal/views/timeline_view.py", 'else "clock"', 'else "minute"'),
    Mutation(
        "G27",
        "linker/entrypoints/portal/actions.py",
        "{*(table.table for run in recent for table in run.tables), *known}",
        "known",
    ),
    Mutation("G27", f"{_TEMPLATES}/actions.html", "shown.get(one.ticket.run, asked.mode)", "asked.mode"),
    Mutation("G27", f"{_TEMPLATES}/status.html", '"on" if one.is_on else "off"', '"on"'),
    Mutation("G27", f"{_TEMPLATES}/progress.html", "([run.trigger] + run.requested_by | list)", "[run.trigger]"),
    Mutation("G27", f"{_TEMPLATES}/progress.html", "planned.get(part.outcome, part.outcome)", "part.outcome"),
    Mutation("G27", f"{_TEMPLATES}/lines.html", 'planned if line.dry_run else ""', '""'),
    Mutation("G27", f"{_TEMPLATES}/review.html", "{% if unseen or not lines %}", "{% if false %}"),
    Mutation(
        "G27",
        "linker/entrypoints/serving.py",
        "_ASK_ADMINISTRATOR if caller.id else _USE_MASTER_KEY",
        "_ASK_ADMINISTRATOR",
    ),
    Mutation("G27", "linker/entrypoints/cli/waiting.py", " or shown.status is Status.RETRYING:", ":"),
)
