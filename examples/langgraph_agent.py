#!/usr/bin/env python3
"""Keep the checkpoints of a LangGraph agent in the store, beside its messages; the model is a script.

    pip install langgraph 'clients/python[langgraph]'
    python3 examples/langgraph_agent.py                        # beside a running `make run`
    API_URL=https://... python3 examples/langgraph_agent.py    # any other deployment; API_TOKEN is its token
"""

import os
import uuid

from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from conversation_store import ConversationStore
from conversation_store.langgraph import ConversationStoreSaver


class Trip(MessagesState, total=False):
    city: str


def agent(state):
    """The script: it asks for a city once, by which the run stops until there is an answer."""
    city = state.get("city") or interrupt("Where to?")
    asked = sum(message.type == "human" for message in state["messages"])
    return {"messages": [("ai", f"Question {asked}, about {city}.")], "city": city}


def graph(store):
    builder = StateGraph(Trip)
    builder.add_node("agent", agent)
    builder.add_edge(START, "agent")
    builder.add_edge("agent", END)
    return builder.compile(checkpointer=ConversationStoreSaver(store))


def main():
    url, token = os.environ.get("API_URL", "http://127.0.0.1:9000"), os.environ.get("API_TOKEN")
    thread = f"langgraph-{uuid.uuid4()}"
    config = {"configurable": {"thread_id": thread}}
    with ConversationStore(url, auth=token) as store:
        asked = graph(store).invoke({"messages": [("user", "How is the weather?")]}, config)["__interrupt__"]
        print(f"It asks: {asked[0].value}")
    with ConversationStore(url, auth=token) as store:
        # Another process goes on.
        for what in (Command(resume="Lisbon"), {"messages": [("user", "And the food?")]}):
            state = graph(store).invoke(what, config)
            print(state["messages"][-1].content)
        assert [message.type for message in state["messages"]] == ["human", "ai", "human", "ai"]
        assert state["messages"][-1].content == "Question 2, about Lisbon."
        history = list(graph(store).get_state_history(config))
        assert len(history) == 6 and len(history[-2].values["messages"]) == 1, history

        # Back to before the second question, to ask another one.
        before = next(it for it in history if len(it.values.get("messages", [])) == 2)
        other = graph(store).invoke({"messages": [("user", "And the trains?")]}, before.config)
        assert [message.content for message in other["messages"]][2:] == ["And the trains?", "Question 2, about Lisbon."]

        saver = ConversationStoreSaver(store)
        saver.prune([thread])
        assert len(list(saver.list(config))) == 1 and graph(store).get_state(config).values == other
        # The checkpoints are records of the conversation, and go with it.
        store.delete_conversation(thread)
        assert list(saver.list(config)) == []
    print(f"A thread of LangGraph, {len(history)} checkpoints: all as expected")


main()
