"""What the README shows runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest

from conversation_store import ConversationStore

README = Path(__file__).parents[1] / "README.md"


def test_the_programs_of_the_readme(
    base_url: str, owner: str, store: ConversationStore, capsys: pytest.CaptureFixture[str]
) -> None:
    text = README.read_text().replace(', owner="ann"', "")
    text = text.replace('ConversationStore("http://127.0.0.1:9000"', f'ConversationStore("{base_url}", owner="{owner}"')
    agent, client, steps = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for _ in range(2):
        exec(agent, {})
    assert [int(it) for it in re.findall(r"message (\d+)", capsys.readouterr().out)] == [1, 3, 5, 7]
    names: dict[str, Any] = {}
    exec(client, names)
    exec(steps, names | {"store": store})
    assert (
        store.list_messages("trip").data[-1]["content"] == "Hi!" and store.get_record("trip", "state").text == "asked"
    )
