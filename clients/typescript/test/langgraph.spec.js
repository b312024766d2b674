// LangGraph's own validation of checkpointers, which is made for vitest: langgraph.test.js runs it.
import { deltaChannelHistoryTests, validate } from "@langchain/langgraph-checkpoint-validation";
import { ConversationStore } from "conversation-store";
import { ConversationStoreSaver } from "conversation-store/langgraph";

/** Each checkpointer has an owner of its own: `list` goes through all conversations of an owner. */
// vitest has a BASE_URL of its own.
const createCheckpointer = () => {
  const owner = `test-${crypto.randomUUID()}`;
  return new ConversationStoreSaver(new ConversationStore({ baseUrl: process.env.STORE_URL, owner }));
};

const initializer = { checkpointerName: "conversation-store", createCheckpointer };
validate(initializer);
deltaChannelHistoryTests(initializer);
