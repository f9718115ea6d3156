"""The HTTP/1.1 protocol of the server, with a way to reset a connection instead of answering."""

import socket
import struct
from typing import Final

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_RESET: Final = "sandbox.reset"
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN


class ResettableProtocol(HttpToolsProtocol):
    """Offers applications a reset of the connection, as `scope["extensions"]["sandbox.reset"]`."""

    def on_headers_complete(self) -> None:
        """Add the extension to the scope before the application sees it."""
        self.scope["extensions"] = {_RESET: {"reset": self._reset}}
        super().on_headers_complete()

    def _reset(self) -> None:
        connected: socket.socket | None = self.transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self.transport.abort()


async def reset_connection(scope: Scope, receive: Receive) -> None:
    """Reset the connection of a request whose body was read; returns when the client is gone.

    Raises ConnectionResetError without a connection (an application called in process).
    """
    extension = scope.get("extensions", {}).get(_RESET)
    if extension is None:
        raise ConnectionResetError("The sandbox resets the connection.")
    extension["reset"]()
    while (await receive())["type"] != "http.disconnect":
        pass
