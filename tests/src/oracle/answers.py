"""Asks OPA, as a library, what standard input says, and prints each answer as it came.

usage: answers.py FOLDER    (FOLDER is what tests/setup/oracle made)

Every line is a verb and its arguments, parted by tabs, and is answered by one line of JSON, `{"result": …}` or `{"error": {code, message}}`:

    module  PATH      TEXT     adds a policy; TEXT is a JSON string
    data    DOCUMENT           adds data
    ask     PATH      INPUT    the document at PATH, such as authz.allow, for this input

Inputs and answers are passed through as bytes: a reader in between would change numbers.
"""
import ctypes
import json
import resource
import sys

# OPA bounds neither its memory nor its time. What a test asks needs little of both, and a mistake in it must not take the machine along.
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (300, 300))

sys.path.insert(0, sys.argv[1])
from opa_bindings import _native  # noqa: E402

lib = _native.load()
engine = lib.OpaNew()


def called(function, *arguments):
    pointer = function(engine, *arguments)
    try:
        return ctypes.string_at(pointer)
    finally:
        lib.OpaFreeString(pointer)


def answer(verb, arguments):
    match verb, arguments:
        case b"module", [path, text]:
            return called(lib.OpaAddPolicy, path, json.loads(text).encode())
        case b"data", [document]:
            return called(lib.OpaAddData, b"", document)
        case b"ask", [path, given]:
            return called(lib.OpaEvalDocument, path, given, 0, 0)
    sys.exit(f"not a request: {verb!r} with {len(arguments)} arguments")


for line in sys.stdin.buffer:
    verb, *arguments = line.rstrip(b"\n").split(b"\t")
    sys.stdout.buffer.write(answer(verb, arguments).replace(b"\n", b" ") + b"\n")
    sys.stdout.buffer.flush()
