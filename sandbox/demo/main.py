"""`python -m sandbox demo`: start everything, play the story, show it, end everything."""

import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import NoReturn

import httpx
from pydantic.alias_generators import to_camel

from sandbox.data.generator import Sizes
from sandbox.demo.children import Child, ChildError, host_process, last_words, sandbox_process
from sandbox.demo.clients import App, Json, Sandbox, Source
from sandbox.demo.screen import Screen
from sandbox.demo.story import ACTS, Act, Ending, StalledError, Story
from sandbox.switches.registry import value_text


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the demo is given. `load` None generates `sizes`; `json` and `svg` are files to write; `keep` leaves all running."""

    load: Path | None = None
    sizes: Sizes = Sizes()
    json: Path | None = None
    svg: Path | None = None
    switches: Mapping[str, object] = field(default_factory=dict)
    keep: bool = False


def run(options: DemoOptions) -> int:
    """Play the demo and return its exit code: 0 only when every run ended well and every proof holds."""
    signal.signal(signal.SIGTERM, _leave)
    screen = Screen(keep=options.svg is not None)
    try:
        good = _play(options, screen)
    except (ChildError, StalledError) as error:
        screen.failure(str(error))
        return 1
    except KeyboardInterrupt:
        screen.failure("Stopped. Everything that was started has ended.")
        return 130
    if options.svg is not None:
        screen.save_svg(options.svg)
    return 0 if good else 1


def _play(options: DemoOptions, screen: Screen) -> bool:
    began = time.monotonic()
    with ExitStack() as stack:
        with screen.working("Starting Azurite and the sandbox, loading the data"):
            serving = stack.enter_context(sandbox_process(_serve_options(options)))
        with screen.working("Starting the Functions host with the app"):
            hosting = stack.enter_context(host_process(serving.ready))
        stack.enter_context(_told(serving, hosting))
        sandbox = stack.enter_context(Sandbox(serving.ready))
        app = stack.enter_context(App(hosting.ready["url"]))
        story = Story(app, sandbox, sandbox.sources())
        screen.opening(serving.ready, hosting.ready["url"], story.sources)
        acts = _acts(story, screen)
        with screen.working("Reading every link back"):
            ending = story.read_back(acts[0].run)
        screen.ending(ending)
        good = ending.succeeded and len(acts) == ACTS and all(act.succeeded for act in acts)
        screen.verdict(_sentence(good, ending, time.monotonic() - began), good=good)
        if options.json is not None:
            document = {"succeeded": good, "sources": story.sources, "acts": acts, "readBack": ending.checks}
            options.json.write_text(json.dumps(document, default=_plain, indent=1) + "\n", encoding="utf-8")
        if options.keep:
            screen.kept(serving.ready, hosting.ready["url"])
            _wait_for_end(serving, hosting)
    return good


def _wait_for_end(*children: Child) -> None:
    """Wait for Ctrl+C. Raises ChildError when one of the processes ends before."""
    try:
        while all(child.process.poll() is None for child in children):
            time.sleep(0.5)
    except KeyboardInterrupt:
        return
    (ended, *_) = [child for child in children if child.process.poll() is not None]
    raise ChildError(f"The {ended.name} has ended:\n{last_words(ended.log)}")


def _acts(story: Story, screen: Screen) -> list[Act]:
    """Play the acts, up to the first that does not come out as it should."""
    acts: list[Act] = []
    for number, (heading, play) in enumerate(story.acts(), start=1):
        screen.heading(number, heading)
        with screen.following(story.rows) as watch:
            acts.append(play(watch))
        screen.act(acts[-1], _notes(acts[-1].run, story.sources) if number == 1 else ())
        if not acts[-1].succeeded:
            break
    return acts


def _notes(run: Json, sources: Sequence[Source]) -> list[str]:
    """Print which sources are not link targets."""
    linked = {(source["dataSource"], source["table"]) for table in run["tables"] for source in table["sources"]}
    return [
        f"{source.rows:,} rows of {source.table} ({source.data_source}) take part in unification and are not link targets."
        for source in sources
        if (source.data_source, source.table) not in linked
    ]


def _sentence(good: bool, ending: Ending, seconds: float) -> str:
    if not good:
        return "Something above is not as it should be."
    right = sum(check.right for check in ending.checks)
    return f"All {ACTS} acts came out as they should, and {right:,} links are right. {seconds:.0f} s in all."


def _serve_options(options: DemoOptions) -> list[str]:
    named = [f"{name}={value_text(value)}" for name, value in options.switches.items()]
    switches = [part for text in named for part in ("--switch", text)]
    if options.load is not None:
        return ["--load", str(options.load), *switches]
    sizes = options.sizes
    numbers = ["--contacts", f"{sizes.contacts}", "--leads", f"{sizes.leads}", "--members", f"{sizes.members}"]
    return [*numbers, *switches]


@contextmanager
def _told(*children: Child) -> Iterator[None]:
    """Turn a request that failed into the last words of the process that should have answered."""
    try:
        yield
    except httpx.HTTPError as error:
        ended = [child for child in children if child.process.poll() is not None]
        words = [
            f"The {child.name} {'has ended' if ended else 'said'}:\n{last_words(child.log)}"
            for child in ended or children
        ]
        answer = error.response.text[:500] if isinstance(error, httpx.HTTPStatusError) else ""
        raise ChildError("\n".join(filter(None, [f"{error}".partition("\n")[0], answer, *words]))) from error


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {to_camel(field.name): getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _leave(*_: object) -> NoReturn:
    """End by an exception, so that the child processes end too."""
    raise SystemExit(143)
