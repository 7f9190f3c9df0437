"""Prints what a repeated allow costs beside one that is asked for, on this machine: ``python sdk/python/cost.py`` with the package installed."""

from __future__ import annotations

import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tests"))

from fake import Fake, allow, lease

from countersign import Client, Question


def made() -> Question:
    headers = [["authorization", "Bearer " + "t" * 400], ["user-agent", "x" * 80]]
    return Question(("token", "presented"), "GET", ("route", "payroll.example/"), {"http": {"headers": headers}})


def microseconds(work: Callable[[], object], number: int) -> float:
    return min(timeit.repeat(work, number=number, repeat=5)) / number * 1e6


def main() -> None:
    fake = Fake(lambda _path, _asked: allow())
    fake.answer = lambda _path, _asked: allow(lease=lease(fake.seq))
    question = made()
    with Client(fake.url, pep=("payroll", "s"), deadline=10.0) as client:
        client.ask(question)
        while not client.is_watched:
            time.sleep(0.01)
        asked = microseconds(lambda: client.ask(question), 200)
        repeated = microseconds(lambda: client.evaluate(question), 20_000)
        making = microseconds(made, 2_000)
    fake.stop()
    print(f"asked over loopback      {asked:8.1f} us")
    print(f"repeated                 {repeated:8.1f} us  1/{asked / repeated:.0f} of it")
    print(f"making the question      {making:8.1f} us")


if __name__ == "__main__":
    main()
