"""Calls `countersign.v1.DecisionPoint`, one line of JSON a call, and prints a line of JSON for each message and for the status at the end.

usage: decision_point.py FOLDER PORT, where FOLDER has what the protobuf compiler made of the contract.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

import grpc  # noqa: E402
from countersign.v1 import decision_point_pb2 as messages  # noqa: E402
from countersign.v1 import decision_point_pb2_grpc as services  # noqa: E402
from google.protobuf import json_format  # noqa: E402

REQUESTS = {"Evaluate": messages.EvaluateRequest, "Evaluations": messages.EvaluationsRequest, "Watch": messages.WatchRequest}
SECONDS = 60


def say(line):
    print(json.dumps(line), flush=True)


def read(message):
    return {"message": json_format.MessageToDict(message, preserving_proto_field_name=True)}


def answer(stub, asked):
    request = json_format.ParseDict(asked["request"], REQUESTS[asked["call"]]())
    metadata = [(name, value) for name, value in asked.get("metadata", [])]
    call = getattr(stub, asked["call"])
    if asked["call"] != "Watch":
        say(read(call(request, metadata=metadata, timeout=SECONDS)))
        return
    stream = call(request, metadata=metadata, timeout=SECONDS)
    for left in range(asked["events"] - 1, -1, -1):
        say(read(next(stream)))
        if left == 0:
            stream.cancel()


def main():
    channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[2]}", options=[("grpc.enable_http_proxy", 0)])
    stub = services.DecisionPointStub(channel)
    for line in sys.stdin:
        try:
            answer(stub, json.loads(line))
            say({"code": "OK"})
        except grpc.RpcError as error:
            say({"code": error.code().name, "details": error.details(), "metadata": dict(error.trailing_metadata() or ())})
        except StopIteration:
            say({"code": "OK", "details": "the stream ended"})


main()
