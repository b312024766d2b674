"""What the README shows runs as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
import test_adk
import test_agents
import test_pydantic_ai
import test_strands

from conversation_store import ConversationStore

README = Path(__file__).parents[1] / "README.md"


def test_the_programs_of_the_readme(
    base_url: str, owner: str, store: ConversationStore, capsys: pytest.CaptureFixture[str]
) -> None:
    text = README.read_text().replace(', owner="ann"', "")
    text = text.replace('ConversationStore("http://127.0.0.1:9000"', f'ConversationStore("{base_url}", owner="{owner}"')
    agent, agents, adk, strands, pydantic_ai, client, steps = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for _ in range(2):
        exec(agent, {})
    assert [int(it) for it in re.findall(r"message (\d+)", capsys.readouterr().out)] == [1, 3, 5, 7]
    # Scripts in the place of models.
    scripts = {
        '"gpt-4.1"': (agents, test_agents.Script()),
        '"gemini-2.5-flash"': (adk, test_adk.Script(model="script")),
        '"us.amazon.nova-pro-v1:0"': (strands, test_strands.Script()),
        '"openai:gpt-4.1"': (pydantic_ai, test_pydantic_ai.agent.model),
    }
    for name, (program, model) in scripts.items():
        assert name in program
        exec(program.replace(name, "MODEL"), {"MODEL": model})
        assert "answer to Hello!" in capsys.readouterr().out
    names: dict[str, Any] = {}
    exec(client, names)
    exec(steps, names | {"store": store})
    assert (
        store.list_messages("trip").data[-1]["content"] == "Hi!" and store.get_record("trip", "state").text == "asked"
    )
