// The checkpointer: LangGraph's own validation, and stock graphs, which must run as with MemorySaver.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { AIMessage, HumanMessage } from "@langchain/core/messages";
import {
  Annotation,
  Command,
  DeltaValue,
  END,
  INTERRUPT,
  MemorySaver,
  MessagesAnnotation,
  START,
  Send,
  StateGraph,
  StateSchema,
  interrupt,
} from "@langchain/langgraph";
import { ERROR, RESUME, emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { ConversationStoreSaver } from "conversation-store/langgraph";
import { z } from "zod";

import { counting, doublingLate, interrupted, losing, open, withServer } from "./support.js";

const at = (thread_id) => ({ configurable: { thread_id, checkpoint_ns: "" } });
const metadata = { source: "loop", step: 0, parents: {} };
const gather = async (all) => {
  const found = [];
  for await (const one of all) found.push(one);
  return found;
};
const plain = (value) => JSON.parse(JSON.stringify(value));

/** A checkpoint with these values, each of a version of its own. */
const checkpointOf = (saver, values) => {
  const channel_versions = Object.fromEntries(Object.keys(values).map((name) => [name, saver.getNextVersion(undefined)]));
  return { ...emptyCheckpoint(), id: uuid6(0), channel_values: values, channel_versions };
};
const putValues = (saver, config, values) => {
  const checkpoint = checkpointOf(saver, values);
  return saver.put(config, checkpoint, metadata, checkpoint.channel_versions);
};

withServer("LangGraph's validation", async () => {
  const package_ = fileURLToPath(new URL("..", import.meta.url));
  const args = ["node_modules/vitest/vitest.mjs", "run", "--globals", "--reporter=json", "test/langgraph.spec.js"];
  const env = { ...process.env, STORE_URL: process.env.BASE_URL };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: package_, env, maxBuffer: 1e8 }).catch((error) => error);
  const { numPassedTests, numTotalTests, testResults } = JSON.parse(stdout);
  const failed = testResults.flatMap(({ assertionResults = [] }) => assertionResults).filter(({ status }) => status !== "passed");
  assert.deepEqual(
    failed.map(({ fullName, failureMessages }) => [fullName, failureMessages]),
    [],
  );
  assert.equal(numPassedTests, numTotalTests);
  assert.ok(numTotalTests >= 726, `${numTotalTests} tests`);
});

/** Runs the same with MemorySaver and with ours, and compares what it returns. */
async function asInMemory(scenario, options) {
  const [theirs, ours] = [await scenario(new MemorySaver()), await scenario(new ConversationStoreSaver(open(options)))];
  assert.deepEqual(plain(ours), plain(theirs));
  return ours;
}

/** What of a history does not depend on ids and times. */
const outline = (history) =>
  history.map(({ values, next, metadata: { source, step }, tasks }) => {
    return { values, next, source, step, tasks: tasks.map(({ name, interrupts }) => [name, interrupts.map(({ value }) => value)]) };
  });

withServer("a conversation with an interrupt, a resumption, and another branch from the middle", async () => {
  await asInMemory(async (checkpointer) => {
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("ask", () => ({ messages: [new HumanMessage({ id: "h", content: `How warm? ${interrupt("Where?")}` })] }))
      .addNode("answer", ({ messages }) => ({
        messages: [new AIMessage({ id: `a-${messages.length}`, content: "19 °C", tool_calls: [] })],
      }))
      .addEdge(START, "ask")
      .addEdge("ask", "answer")
      .addEdge("answer", END)
      .compile({ checkpointer });
    const config = at("trip");
    const stopped = await graph.invoke({ messages: [] }, config);
    assert.equal(stopped[INTERRUPT][0].value, "Where?");
    const first = await graph.invoke(new Command({ resume: "Lisbon" }), config);
    assert.deepEqual(
      first.messages.map(({ content }) => content),
      ["How warm? Lisbon", "19 °C"],
    );
    assert.ok(first.messages[1] instanceof AIMessage);
    const history = await gather(graph.getStateHistory(config));
    const before = history.find(({ next }) => next[0] === "ask");
    const second = await graph.invoke(new Command({ resume: "Porto" }), before.config);
    const branch = await graph.updateState(history[0].config, { messages: [new HumanMessage({ id: "u", content: "Thanks" })] });
    const [main, side] = [await graph.getState(history[0].config), await graph.getState(branch)];
    return {
      first,
      second,
      main: main.values,
      side: side.values,
      outline: outline(await gather(graph.getStateHistory(config))),
      limited: outline(await gather(graph.getStateHistory(config, { limit: 2 }))),
    };
  });
});

withServer("branches that write the same channels keep their values apart", async () => {
  const saver = new ConversationStoreSaver(open());
  const graph = new StateGraph(Annotation.Root({ text: Annotation }))
    .addNode("shout", ({ text }) => ({ text: `${text}!` }))
    .addEdge(START, "shout")
    .compile({ checkpointer: saver });
  await graph.invoke({ text: "root" }, at("trip"));
  const { config } = await graph.getState(at("trip"));
  const branches = [];
  for (const text of ["left", "right"]) {
    await graph.invoke({ text }, config);
    branches.push((await graph.getState(at("trip"))).config);
  }
  assert.deepEqual(
    (await Promise.all(branches.map((branch) => graph.getState(branch)))).map(({ values }) => values.text),
    ["left!", "right!"],
  );
  assert.equal((await graph.getState(config)).values.text, "root!");
});

withServer("tasks at once, a subgraph, and one that fails and is done again", async () => {
  await asInMemory(async (checkpointer) => {
    let failures = 1;
    const State = Annotation.Root({ found: Annotation({ reducer: (a, b) => [...a, ...b], default: () => [] }), n: Annotation });
    const inner = new StateGraph(State)
      .addNode("deep", ({ n }) => ({ found: [`deep ${n} ${interrupt(`go ${n}?`)}`] }))
      .addEdge(START, "deep")
      .compile();
    const graph = new StateGraph(State)
      .addNode("spread", () => ({ found: ["spread"] }))
      .addNode("work", ({ n }) => {
        if (n === 2 && failures-- > 0) throw new Error("no luck");
        return { found: [`work ${n}`, new Uint8Array([n])] };
      })
      .addNode("inner", inner)
      .addEdge(START, "spread")
      .addConditionalEdges("spread", () => [1, 2, 3].map((n) => new Send("work", { n })))
      .addEdge("work", "inner")
      .addEdge("inner", END)
      .compile({ checkpointer });
    const config = at("trip");
    const failed = await graph.invoke({ n: 7 }, config).catch((error) => error.message);
    const half = await graph.getState(config);
    await graph.invoke(null, config);
    const nested = await graph.getState(config, { subgraphs: true });
    const done = await graph.invoke(new Command({ resume: "yes" }), config);
    return {
      failed,
      next: half.next,
      tasks: half.tasks.map(({ name, error }) => [name, `${error ?? ""}`]).sort(),
      inner: nested.tasks[0].state.next,
      found: done.found.map(String),
      outline: outline(await gather(graph.getStateHistory(config))).length,
    };
  });
});

withServer("a delta channel is rebuilt from its writes, page by page", async () => {
  const { sent, fetch } = counting();
  const Log = new StateSchema({
    log: new DeltaValue(
      z.array(z.string()).default(() => []),
      { inputSchema: z.string(), reducer: (state, writes) => [...state, ...writes], snapshotFrequency: 1000 },
    ),
    round: z.number().default(0),
  });
  const scenario = async (checkpointer) => {
    const graph = new StateGraph(Log)
      .addNode("a", ({ round }) => ({ log: `a ${round}`, round: round + 1 }))
      .addNode("b", () => ({ log: "b" }))
      .addEdge(START, "a")
      .addEdge(START, "b")
      .addConditionalEdges("a", ({ round }) => (round < 60 ? "a" : END))
      .compile({ checkpointer });
    await graph.invoke({ log: "start", round: 0 }, { ...at("trip"), recursionLimit: 100 });
    sent.length = 0;
    const { values } = await graph.getState(at("trip"));
    return values;
  };
  const { log } = await asInMemory((checkpointer) => scenario(checkpointer), { fetch });
  assert.equal(log.length, 62);
  assert.ok(sent.length < 15, `${sent.length} requests`);
});

withServer("a put is one request, a get two, and a list two for each page", async () => {
  const { sent, fetch } = counting();
  const saver = new ConversationStoreSaver(open({ fetch }));
  const values = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`channel_${n}`, { n, text: "x".repeat(n * 10) }]));
  const config = await putValues(saver, at("trip"), values);
  assert.deepEqual(sent.splice(0), ["POST /v1/conversations/trip/records"]);
  await saver.putWrites(
    config,
    [
      ["a", 1],
      ["b", 2],
      [ERROR, "no"],
    ],
    "task-1",
  );
  assert.equal(sent.splice(0).length, 1);
  const small = await putValues(saver, config, { a: 1, b: null });
  sent.length = 0;
  assert.deepEqual((await saver.getTuple(small)).checkpoint.channel_values, { a: 1, b: null });
  assert.equal(sent.splice(0).length, 2);
  assert.deepEqual((await saver.getTuple(at("trip"))).checkpoint.channel_values, { a: 1, b: null });
  assert.equal(sent.splice(0).length, 2);
  assert.deepEqual((await saver.getTuple(config)).checkpoint.channel_values, values);
  assert.equal(sent.splice(0).length, 2);
  assert.equal(await saver.getTuple(at("none")), undefined);
  assert.equal(sent.splice(0).length, 1);
  for (let n = 0; n < 20; n += 1) await putValues(saver, at("long"), { n });
  sent.length = 0;
  assert.deepEqual(
    (await gather(saver.list(at("long"), { limit: 15 }))).map(({ checkpoint }) => checkpoint.channel_values.n),
    [19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5],
  );
  assert.equal(sent.length, 2);
});

withServer("of what a task writes the first stays, errors and interrupts are replaced", async () => {
  const saver = new ConversationStoreSaver(open());
  const config = await putValues(saver, at("trip"), {});
  const writes = async () => (await saver.getTuple(config)).pendingWrites;
  await saver.putWrites(
    config,
    [
      ["a", 1],
      ["b", 2],
    ],
    "task-1",
    "~2",
  );
  await saver.putWrites(
    config,
    [
      ["a", 10],
      ["b", 20],
      ["c", 30],
    ],
    "task-1",
    "~2",
  );
  await saver.putWrites(config, [["z", 0]], "task-0", "~10");
  assert.deepEqual(await writes(), [
    ["task-0", "z", 0],
    ["task-1", "a", 1],
    ["task-1", "b", 2],
    ["task-1", "c", 30],
  ]);
  await saver.putWrites(
    config,
    [
      [ERROR, "first"],
      [RESUME, ["a"]],
      [RESUME, ["b"]],
    ],
    "task/2",
  );
  await saver.putWrites(config, [[ERROR, "second"]], "task/2");
  assert.deepEqual((await writes()).slice(0, 2), [
    ["task/2", RESUME, ["b"]],
    ["task/2", ERROR, "second"],
  ]);
  await saver.putWrites(config, [], "task-3");
});

withServer("writers of one task at once lose nothing of each other", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const saver = new ConversationStoreSaver(open({ owner }));
  const config = await putValues(saver, at("trip"), {});
  const rows = Array.from({ length: 8 }, (_, n) => [`channel ${n}`, n]);
  await Promise.all(rows.map((_, n) => saver.putWrites(config, rows.slice(0, n + 1), "race")));
  await saver.putWrites(config, rows.slice(0, 1), "late");
  const act = () => saver.putWrites(config, rows.slice(0, 3), "late");
  const other = new ConversationStoreSaver(open({ owner, fetch: interrupted(({ method }) => method === "GET", act) }));
  await other.putWrites(config, rows.slice(0, 2), "late");
  const { pendingWrites } = await saver.getTuple(config);
  assert.deepEqual(pendingWrites, [...rows.slice(0, 3).map((row) => ["late", ...row]), ...rows.map((row) => ["race", ...row])]);
});

withServer("writes whose answers are lost are done once", async () => {
  let sent = 0;
  const saver = new ConversationStoreSaver(open({ fetch: losing(({ method }) => method !== "GET" && (sent += 1) % 2 === 1) }));
  const config = await putValues(saver, at("trip"), { a: "first" });
  await saver.putWrites(
    config,
    [
      ["a", 1],
      [ERROR, "no"],
    ],
    "task-1",
  );
  const { checkpoint, pendingWrites } = await saver.getTuple(at("trip"));
  assert.deepEqual(
    [checkpoint.channel_values, pendingWrites],
    [
      { a: "first" },
      [
        ["task-1", ERROR, "no"],
        ["task-1", "a", 1],
      ],
    ],
  );
});

withServer("values of any size and number", async () => {
  const saver = new ConversationStoreSaver(open());
  const noise = (size) =>
    Array.from({ length: size / 0x8000 }, () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(0x8000))))).join("");
  const values = {
    ...Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`c${n}`, n])),
    large: "large ".repeat(2_000_000),
    noise: noise(3 << 20),
    bytes: new Uint8Array([0, 255]),
    text: "\u0000\ud83d",
  };
  const config = await putValues(saver, at("trip"), values);
  assert.deepEqual((await saver.getTuple(config)).checkpoint.channel_values, values);
  await assert.rejects(putValues(saver, config, { noise: noise(6 << 20) }), { name: "TooLargeError" });
  assert.deepEqual((await saver.getTuple(at("trip"))).config, config);
});

withServer("threads of any name; deleted, they can be used again, and the conversation is left as it was", async () => {
  const store = open();
  const saver = new ConversationStoreSaver(store);
  await store.conversations.create({ id: "other", messages: [{ role: "user", content: "Hello!" }] });
  const threads = ["user/7", "~odd", "über 9 %", "plain", "other"];
  for (const thread of threads) await putValues(saver, at(thread), { thread });
  for (const thread of threads) assert.equal((await saver.getTuple(at(thread))).checkpoint.channel_values.thread, thread);
  const listed = await gather(saver.list({ configurable: {} }));
  assert.deepEqual(listed.map(({ config }) => config.configurable.thread_id).sort(), [...threads].sort());
  assert.equal((await gather(saver.list({}, { limit: 2 }))).length, 2);
  await store.records("other").put("mine", "x");
  for (const thread of threads) await saver.deleteThread(thread);
  assert.deepEqual(await gather(saver.list({})), []);
  assert.equal((await store.records("other").get("mine")).text(), "x");
  assert.equal((await store.conversations.get("other")).message_count, 1);
  await putValues(saver, at("other"), { thread: "again" });
  assert.equal((await saver.getTuple(at("other"))).checkpoint.channel_values.thread, "again");
});

withServer("threads whose names are too long for an id, and numbers", async () => {
  const store = open();
  const saver = new ConversationStoreSaver(store);
  const threads = ["x".repeat(129), "x".repeat(5000), "会".repeat(43), `${"会".repeat(42)}议`, "a\ud83d", "a\ufffd", "7"];
  for (const thread of threads) await putValues(saver, at(thread), { thread });
  for (const thread of threads) assert.equal((await saver.getTuple(at(thread))).checkpoint.channel_values.thread, thread);
  const listed = await gather(saver.list({ configurable: {} }));
  assert.deepEqual(listed.map(({ config }) => config.configurable.thread_id).sort(), [...threads].sort());
  for (const { config, checkpoint } of listed) assert.equal(checkpoint.channel_values.thread, config.configurable.thread_id);
  assert.deepEqual((await gather(saver.list(at(threads[1])))).length, 1);
  const { config } = await saver.getTuple({ configurable: { thread_id: 7 } });
  assert.equal(config.configurable.thread_id, "7");
  await putValues(saver, { configurable: { thread_id: 8 } }, { n: 8 });
  assert.equal((await saver.getTuple(at("8"))).checkpoint.channel_values.n, 8);
  await saver.deleteThread(7);
  assert.equal(await saver.getTuple(at("7")), undefined);
  assert.equal(await saver.getTuple({ configurable: { thread_id: null } }), undefined);
});

withServer("a conversation with an id of no thread doubles no checkpoint in a list", async () => {
  const store = open();
  const saver = new ConversationStoreSaver(store);
  await putValues(saver, at("x"), {});
  for (const id of ["~x", "~~zz", "~", "~~78", `~~~${"0".repeat(64)}`, "~~FF"]) await store.conversations.create({ id });
  const listed = await gather(saver.list({ configurable: {} }));
  assert.deepEqual(
    listed.map(({ config }) => config.configurable.thread_id),
    ["x"],
  );
});

withServer("a double of a write that arrives late takes nothing back", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const { fetch, late } = doublingLate(({ method }) => method !== "GET");
  const [doubled, saver] = [new ConversationStoreSaver(open({ owner, fetch })), new ConversationStoreSaver(open({ owner }))];
  const config = await putValues(saver, at("trip"), {});
  const writes = async () => (await saver.getTuple(config))?.pendingWrites;
  for (const [channel, first, second] of [
    [RESUME, ["a"], ["a", "b"]],
    [INTERRUPT, "first", "second"],
    [ERROR, "first", "second"],
  ]) {
    await doubled.putWrites(config, [[channel, first]], channel);
    await saver.putWrites(config, [[channel, second]], channel);
    await late();
    assert.deepEqual(
      (await writes()).filter(([task]) => task === channel),
      [[channel, channel, second]],
    );
  }
  // Checkpoints and writes do not come back after the thread was deleted.
  const next = await putValues(doubled, config, { a: 1 });
  await doubled.putWrites(next, [["a", 1]], "task");
  await saver.deleteThread("trip");
  await late();
  assert.deepEqual(await gather(saver.list(at("trip"))), []);
  assert.deepEqual((await saver.getTuple(next)) ?? null, null);
  // And what is written after the deletion stays.
  await doubled.deleteThread("trip");
  const again = await putValues(saver, at("trip"), { again: true });
  await late();
  assert.deepEqual((await saver.getTuple(again)).checkpoint.channel_values, { again: true });
});

withServer("runtimes whose streams know no raw deflate", async () => {
  // Node before 20.12, for example.
  const { CompressionStream, DecompressionStream } = globalThis;
  const without = (Stream) =>
    class extends Stream {
      constructor(format) {
        if (!["gzip", "deflate"].includes(format)) throw new TypeError(`${format} is not known`);
        super(format);
      }
    };
  Object.assign(globalThis, { CompressionStream: without(CompressionStream), DecompressionStream: without(DecompressionStream) });
  try {
    const saver = new ConversationStoreSaver(open());
    const config = await putValues(saver, at("trip"), { text: "x".repeat(1000) });
    assert.equal((await saver.getTuple(config)).checkpoint.channel_values.text.length, 1000);
  } finally {
    Object.assign(globalThis, { CompressionStream, DecompressionStream });
  }
});
