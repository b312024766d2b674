// Agents of each framework run turns through a front that loses requests and answers, delays, doubles, and doubles late: two workers
// on one session. TURNS says how many turns, FAULTY_URL where such a front is, if it is not to be this test's own.
import assert from "node:assert/strict";

import { Annotation, Command, END, START, StateGraph, interrupt } from "@langchain/langgraph";
import { Agent, Runner, Usage, assistant, tool } from "@openai/agents-core";
import { convertToModelMessages, createUIMessageStreamResponse, generateId, streamText, toUIMessageStream } from "ai";
import { MockLanguageModelV4, simulateReadableStream } from "ai/test";
import { ConversationStoreSession } from "conversation-store/agents";
import { loadChat, nextMessages, saveChat } from "conversation-store/ai";
import { ConversationStoreSaver } from "conversation-store/langgraph";

import { faulty, open, withServer } from "./support.js";

const TURNS = Number(process.env.TURNS ?? 10);
const WORKERS = ["a", "b"];

/** A turn of each worker, as often as there are turns for it. */
const turnsOf = (each) => WORKERS.flatMap((worker) => Array.from({ length: TURNS / 2 }, (_, n) => each(worker, n)).flat());
const sharesOf = (texts) => WORKERS.flatMap((worker) => texts.filter((text) => text.includes(` ${worker}/`)));

/** Two workers at once, each with a client of its own that goes through the front; then a client without it. */
async function runTurns(work) {
  const front = await faulty();
  const owner = `test-${crypto.randomUUID()}`;
  const through = () => open({ owner, baseUrl: front.baseUrl, retries: 8 });
  await work(through);
  const faults = await front.settled();
  if (faults && TURNS >= 10) for (const [fault, times] of Object.entries(faults)) assert.ok(times > 0, fault);
  return open({ owner });
}

withServer(`${TURNS} turns of an agent of the OpenAI Agents SDK`, async () => {
  const runner = new Runner({ tracingDisabled: true });
  const parameters = { type: "object", properties: {}, required: [], additionalProperties: false };
  const tools = [tool({ name: "warmth", description: "In °C.", parameters, execute: () => "19" })];
  const called = { type: "function_call", name: "warmth", status: "completed", arguments: "{}" };
  const work = async (store, worker) => {
    const session = new ConversationStoreSession({ store, sessionId: "both" });
    for (let n = 0; n < TURNS / 2; n += 1) {
      const id = `${worker}_${n}`;
      const answers = [[assistant(`answer ${worker}/${n}`, { id: `msg_${id}` })]];
      if (n % 3 === 0) answers.unshift([{ ...called, id: `fc_${id}`, callId: `call ${worker}/${n}` }]);
      const model = { getResponse: async () => ({ output: answers.shift(), usage: new Usage() }) };
      await runner.run(new Agent({ name: "planner", model, tools }), `question ${worker}/${n}`, { session });
    }
  };
  const store = await runTurns((through) => Promise.all(WORKERS.map((worker) => work(through(), worker))));
  const items = await new ConversationStoreSession({ store, sessionId: "both" }).getItems();
  const texts = items.map(({ type, role, content, callId }) => {
    return { user: content, assistant: content?.[0]?.text }[role] ?? `${type} of ${callId}`;
  });
  const wanted = turnsOf((worker, n) => {
    const calls = [`function_call of call ${worker}/${n}`, `function_call_result of call ${worker}/${n}`];
    return [`question ${worker}/${n}`, ...(n % 3 === 0 ? calls : []), `answer ${worker}/${n}`];
  });
  assert.equal(texts.length, wanted.length);
  assert.deepEqual(sharesOf(texts), wanted);
});

withServer(`${TURNS} turns of a chat of the AI SDK`, async () => {
  const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
  const says = (delta) => [
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta },
    { type: "text-end", id: "1" },
    { type: "finish", finishReason: { unified: "stop", raw: undefined }, usage },
  ];
  const work = async (store, worker) => {
    for (let n = 0; n < TURNS / 2; n += 1) {
      const message = { id: `u-${worker}-${n}`, role: "user", parts: [{ type: "text", text: `question ${worker}/${n}` }] };
      const chat = await loadChat(store, "both");
      const messages = nextMessages(chat, message);
      await saveChat(store, { chat, messages, activeStreamId: `s-${worker}-${n}` });
      const stream = simulateReadableStream({ chunks: says(`answer ${worker}/${n}`) });
      const model = new MockLanguageModelV4({ doStream: async () => ({ stream }) });
      const result = streamText({ model, messages: await convertToModelMessages(messages) });
      let saved;
      const onEnd = ({ messages }) => (saved = saveChat(store, { chat, messages, activeStreamId: null }));
      const options = { stream: result.stream, originalMessages: messages, generateMessageId: generateId, onEnd };
      await createUIMessageStreamResponse({ stream: toUIMessageStream(options) }).text();
      await saved;
    }
  };
  const store = await runTurns((through) => Promise.all(WORKERS.map((worker) => work(through(), worker))));
  const { messages, activeStreamId } = await loadChat(store, "both");
  const texts = messages.map(({ parts }) => parts.map(({ text }) => text ?? "").join(""));
  const wanted = turnsOf((worker, n) => [`question ${worker}/${n}`, `answer ${worker}/${n}`]);
  assert.equal(texts.length, wanted.length);
  assert.deepEqual(sharesOf(texts), wanted);
  assert.equal(activeStreamId, null);
});

// LangGraph does not merge what two runs of a thread do at once: so the workers take turns, and each resumes what the other began.
withServer(`${TURNS} turns of a graph of LangGraph, each with two interrupts`, async () => {
  const State = Annotation.Root({ log: Annotation({ reducer: (a, b) => [...a, ...b], default: () => [] }) });
  const graphOf = (store) =>
    new StateGraph(State)
      .addNode("ask", () => ({ log: [`got ${interrupt("first?")} and ${interrupt("second?")}`] }))
      .addNode("answer", () => ({ log: ["answer"] }))
      .addEdge(START, "ask")
      .addEdge("ask", "answer")
      .addEdge("answer", END)
      .compile({ checkpointer: new ConversationStoreSaver(store) });
  const config = { configurable: { thread_id: "both" } };
  const store = await runTurns(async (through) => {
    const graphs = WORKERS.map(() => graphOf(through()));
    let step = 0;
    const next = () => graphs[(step += 1) % 2];
    for (let n = 0; n < TURNS; n += 1) {
      await next().invoke({ log: [`question ${n}`] }, config);
      await next().invoke(new Command({ resume: `first ${n}` }), config);
      await next().invoke(new Command({ resume: `second ${n}` }), config);
    }
  });
  const { values, next } = await graphOf(store).getState(config);
  const wanted = Array.from({ length: TURNS }, (_, n) => [`question ${n}`, `got first ${n} and second ${n}`, "answer"]);
  assert.deepEqual([values.log, next], [wanted.flat(), []]);
});
