"""The functions of an app, read from the bindings that its decorators registered."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.functions import FunctionRegister
from azure.functions.decorators.core import Binding, Trigger
from azure.functions.decorators.function_app import Function

from sandbox.host.errors import StartRefusedError

HTTP = "httpTrigger"
TIMER = "timerTrigger"
EVENT_HUB = "eventHubTrigger"
ORCHESTRATOR = "orchestrationTrigger"
ACTIVITY = "activityTrigger"

_TRIGGERS = {HTTP, TIMER, EVENT_HUB, ORCHESTRATOR, ACTIVITY}
_CLIENT = "durableClient"
_RETURN = "$return"


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a failed call is repeated, and how long after the failure; by default not at all."""

    most: int = 0
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HostedFunction:
    """One registered function. `clients` are the parameters that receive a durable client."""

    name: str
    call: Callable[..., Any]
    trigger: Trigger
    clients: tuple[str, ...]
    bindings: tuple[str, ...]  # each as the JSON of a function.json binding
    retries: Retries

    @property
    def kind(self) -> str:
        """Type of the trigger as function.json spells it."""
        return str(self.trigger.type)

    @property
    def durable_name(self) -> str:
        """Name under which orchestrators and clients call it: the decorator may give another than the function's."""
        return getattr(self.trigger, "orchestration", None) or getattr(self.trigger, "activity", None) or self.name


def check_folder(app_dir: Path) -> None:
    """Raise StartRefusedError if `app_dir` holds no function app."""
    for name in ("function_app.py", "host.json"):
        if not (app_dir / name).is_file():
            raise StartRefusedError(f"{app_dir} holds no {name}. Name the folder of the function app with --app.")


def load_functions() -> list[HostedFunction]:
    """Import function_app.py from the import path and return the functions of its one app object (docs/reference/azure.md 1.3).

    Raises StartRefusedError for none or several app objects, and for bindings that are not run here.
    """
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
    if len(apps) != 1:
        raise StartRefusedError(f"function_app.py must define exactly one app object at module level, not {len(apps)}.")
    return host_functions(apps[0])


def host_functions(app: FunctionRegister) -> list[HostedFunction]:
    """Return the functions of `app`, checked as the worker checks them. The SDK allows this once per app object."""
    try:
        registered = app.get_functions()
    except ValueError as error:
        raise StartRefusedError(f"function_app.py cannot be indexed: {error}") from None
    return [_hosted(function) for function in registered]


def of_kind(functions: Iterable[HostedFunction], kind: str) -> list[HostedFunction]:
    """Return the functions with that trigger."""
    return [function for function in functions if function.kind == kind]


def _hosted(function: Function) -> HostedFunction:
    name = str(function.get_function_name())
    trigger = function.get_trigger()
    bindings = function.get_bindings()
    if trigger is None or trigger.type not in _TRIGGERS:
        raise StartRefusedError(_NOT_RUN.format(name=name, binding=getattr(trigger, "type", "none")))
    _check_bindings(name, trigger, bindings)
    call = function.get_user_function()
    _check_parameters(name, call, bindings)
    clients = tuple(binding.name for binding in bindings if binding.type == _CLIENT)
    return HostedFunction(name, call, trigger, clients, tuple(function.get_raw_bindings()), _retries(name, function))


def _retries(name: str, function: Function) -> Retries:
    """Return the retry policy of a function, with the times as the worker reads them (H:M:S)."""
    policy = function.get_settings_dict("retry_policy")
    if not policy:
        return Retries()
    most = int(policy["max_retry_count"])
    if policy["strategy"] != "fixed_delay" or most < 0:
        raise StartRefusedError(f"Function '{name}': the local host repeats with a fixed delay and an end only.")
    hours, minutes, seconds = map(int, policy["delay_interval"].split(":"))
    return Retries(most, timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds())


def _check_bindings(name: str, trigger: Trigger, bindings: Iterable[Binding]) -> None:
    for binding in bindings:
        answer = trigger.type == HTTP and binding.name == _RETURN and binding.type == "http"
        if binding is not trigger and binding.type != _CLIENT and not answer:
            raise StartRefusedError(_NOT_RUN.format(name=name, binding=binding.type))


def _check_parameters(name: str, call: Callable[..., Any], bindings: Iterable[Binding]) -> None:
    parameters = inspect.signature(call).parameters
    bound = {binding.name for binding in bindings} - {_RETURN}
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    for parameter in sorted((bound - set(parameters)) | (needed - bound)):
        raise StartRefusedError(
            f"Function '{name}': parameter '{parameter}' is only in its bindings or only in its code."
        )


_NOT_RUN = (
    "Function '{name}' uses binding '{binding}', which the local host does not run. "
    "Run the app with Azure Functions Core Tools: func start."
)
