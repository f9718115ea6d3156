"""The status page: an administrator's view of the task, its runs and rows, and what an operator may do about them.

A page is an operation in PAGES: a handler that returns `render(call, "its_template.html", ...)`. See docs/portal.md.
"""

from linker.entrypoints.operations import Operation
from linker.entrypoints.portal.actions import (
    ask_for_run,
    begin_pause,
    choose_run,
    end_pause,
    review_run,
    show_actions,
    show_pause,
    show_preflight,
)
from linker.entrypoints.portal.overview import show_about, show_audit, show_history, show_status, show_timeline
from linker.entrypoints.portal.page_serving import Portal
from linker.entrypoints.portal.render import lead_home
from linker.entrypoints.portal.rows import download_rows, show_rows
from linker.entrypoints.portal.table_decisions import DECISIONS

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
