"""A graph in a process of its own, for a test that kills it: python killed.py URL OWNER LOG start|resume

`first`, then `quick` and `slow` in parallel, then `last`: what a node does is a line in LOG. `slow` hangs, unless the
graph is resumed.
"""

import operator
import sys
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph

from conversation_store import ConversationStore
from conversation_store.langgraph import ConversationStoreSaver


class State(TypedDict):
    done: Annotated[list[str], operator.add]


def node(name: str, log: Path, hangs: bool = False) -> Any:
    def work(state: State) -> State:
        if hangs:
            time.sleep(3600)
        with log.open("a") as file:
            file.write(f"{name}\n")
        return {"done": [name]}

    return work


def main(url: str, owner: str, log: Path, resumes: bool) -> None:
    builder = StateGraph(State)
    builder.add_node("first", node("first", log))
    builder.add_node("quick", node("quick", log))
    builder.add_node("slow", node("slow", log, hangs=not resumes))
    builder.add_node("last", node("last", log))
    builder.add_edge(START, "first")
    builder.add_edge("first", "quick")
    builder.add_edge("first", "slow")
    builder.add_edge(["quick", "slow"], "last")
    builder.add_edge("last", END)
    with ConversationStore(url, owner=owner) as store:
        graph: Any = builder.compile(checkpointer=ConversationStoreSaver(store))
        config: Any = {"configurable": {"thread_id": "job"}}
        graph.invoke(None if resumes else {"done": ["begun"]}, config)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4] == "resume")
