"""What the documentation says is what happens: its Python is run, and the package is what is tested."""

from __future__ import annotations

import doctest
import re
from importlib import metadata, resources
from pathlib import Path

import pytest
from fake import Fake, allow

import countersign
from countersign import _question

GUIDE = Path(__file__).parents[3] / "docs/python.md"


def test_the_wheel_is_what_is_tested() -> None:
    assert "site-packages" in countersign.__file__, countersign.__file__
    assert resources.files("countersign").joinpath("py.typed").is_file()
    assert metadata.requires("countersign") is None
    assert metadata.version("countersign") == re.search(r'(?m)^version = "(.*)"', (GUIDE.parents[1] / "Cargo.toml").read_text())[1]  # type: ignore[index]


@pytest.mark.parametrize("module", [countersign, _question])
def test_examples_in_docstrings(module: object) -> None:
    failed, run = doctest.testmod(module)  # type: ignore[arg-type]
    assert (failed, run > 0) == (0, True)


def test_the_examples_of_the_guide_run(fake: Fake) -> None:
    fake.answer = lambda path, asked: {"evaluations": [allow()] * len(asked["evaluations"])} if path.endswith("s") else allow()
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    run = [block for block in blocks if "# runs" in block]
    assert run, "a guide has an example that runs"
    for block in run:
        exec(compile(block.replace("https://pdp.example", fake.url), str(GUIDE), "exec"), {})  # noqa: S102
    for block in blocks:
        compile(block, str(GUIDE), "exec")
