"""Asks a Countersign decision point, and enforces what it answers. Anything but a clean allow is no allow.

>>> from countersign import Allow, Client, Deny, Question, StepUp
>>> client = Client("https://pdp.example", pep=("payroll", "the shared secret"))
>>> question = Question(("user", "alice"), "read", ("record", "7"))
>>> def may_pass() -> bool:
...     match client.evaluate(question):
...         case Allow():
...             return True
...         case StepUp(acr=acr):
...             return False  # prove it again, at this level
...         case Deny(code=code):
...             return False
...     return False
>>> client.close()
"""

from ._answer import Allow, Answer, Deny, Epoch, Lease, Obligation, StepUp
from ._breaker import BreakerState
from ._client import AsyncClient, Client
from ._error import CountersignError, ErrorKind
from ._leases import UNLEASED
from ._question import Question

__all__ = [
    "UNLEASED",
    "Allow",
    "Answer",
    "AsyncClient",
    "BreakerState",
    "Client",
    "CountersignError",
    "Deny",
    "Epoch",
    "ErrorKind",
    "Lease",
    "Obligation",
    "Question",
    "StepUp",
]
