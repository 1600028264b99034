"""How much a client may ask for. Every number that bounds memory or work is here."""

from __future__ import annotations

BODY = 0  # bytes of an HTTP request's body: no page has a form
MESSAGE = 2**20  # bytes of one message from a client
CONNECTIONS = 64  # open at once, of all clients
SOCKETS = 32  # of them WebSockets
WAITING = 16  # requests of one client that are queued or under way
BURST, PER_SECOND = 120, 60  # messages of one client: at once, and on average
UNREAD = 2**24  # bytes sent to a client that it has not read; beyond, it is disconnected
LOADED = 4  # models in memory; the one that was used longest ago leaves
IMAGES = 64  # of one request
VALUES = 2**22  # numbers of one reply: values of images, components of z
TEXT = 1_000  # characters of a sentence
LABELS = 1_000  # labels that a page is offered
INVERT_STEPS = 100
COMPLETIONS = 6
