"""The status page: an administrator's view of the task, its runs and rows, and what an operator may do about them.

A page is an operation in PAGES: a handler that returns `render(call, "its_template.html", ...)`. See docs/portal.md.
"""

from linker.entrypoints.http.operations import Operation
from linker.entrypoints.portal.about import show_about
from linker.entrypoints.portal.actions import show_actions
from linker.entrypoints.portal.audit import show_audit
from linker.entrypoints.portal.pause import begin_pause, end_pause, show_pause
from linker.entrypoints.portal.preflight import show_preflight
from linker.entrypoints.portal.render import lead_home
from linker.entrypoints.portal.rows import download_rows, show_rows
from linker.entrypoints.portal.serving import Portal
from linker.entrypoints.portal.start_run import ask_for_run, choose_run, review_run
from linker.entrypoints.portal.status import show_status
from linker.entrypoints.portal.table_decisions import DECISIONS
from linker.entrypoints.portal.timeline import show_history, show_timeline

__all__ = ["PAGES", "Portal", "lead_home"]

# A new page stands here; its template is in templates/.
PAGES: tuple[Operation, ...] = (
    show_status,
    show_history,
    show_timeline,
    show_preflight,
    show_rows,
    show_about,
    show_audit,
    download_rows,
    show_actions,
    choose_run,
    review_run,
    ask_for_run,
    show_pause,
    begin_pause,
    end_pause,
    *DECISIONS,
)
