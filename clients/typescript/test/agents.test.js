// The session under the stock runner of the OpenAI Agents SDK, with a script in the place of a model. Where the SDK's own
// MemorySession does the same, what it holds is what is expected.
import assert from "node:assert/strict";

import { Agent, MemorySession, OutputGuardrailTripwireTriggered, Runner, Usage, UserError, assistant, tool } from "@openai/agents-core";
import { isSessionHistoryRewriteAwareSession, isSessionHistoryTransactionAwareSession } from "@openai/agents-core";
import { ConversationStoreSession } from "conversation-store/agents";

import { counting, interrupted, losing, open, withServer } from "./support.js";

const runner = new Runner({ tracingDisabled: true });
const MISMATCH = /suffix no longer matches/;
const REUSED = /already applied with a different transaction/;

const user = (content) => ({ type: "message", role: "user", content });
const items = (texts) => texts.map(user);
const fulfilled = (results) => results.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
const eight = (each) => Promise.allSettled(Array.from({ length: 8 }, (_, n) => each(n)));

/** A session with these items, and a way to open it again. */
async function holding(texts = [], options = {}) {
  const owner = `test-${crypto.randomUUID()}`;
  const session = new ConversationStoreSession({ store: open({ owner, ...options }) });
  await session.addItems(items(texts));
  const sessionId = await session.getSessionId();
  const reopen = (more) => new ConversationStoreSession({ store: open({ owner, ...more }), sessionId });
  return Object.assign(session, { reopen });
}

async function holds(session, ...texts) {
  assert.deepEqual(await session.getItems(), items(texts));
}

function append(session, operationId, texts) {
  return session.applyHistoryTransaction({ operationId, transaction: { type: "append_items", items: items(texts) } });
}

function replace(session, operationId, expected, texts) {
  const transaction = { type: "replace_suffix", expectedSuffix: items(expected), replacement: items(texts) };
  return session.applyHistoryTransaction({ operationId, transaction });
}

async function refused(done, why) {
  await assert.rejects(done, (error) => error instanceof UserError && why.test(error.message));
}

/** A model that answers what is given here, one after the other, and keeps what it was sent. */
class ScriptedModel {
  sent = [];

  constructor(...outputs) {
    this.outputs = outputs;
  }

  async getResponse({ input }) {
    this.sent.push(structuredClone(input));
    return { output: this.outputs.shift(), usage: new Usage() };
  }
}

const thought = { type: "reasoning", id: "rs_1", content: [{ type: "input_text", text: "I look it up." }] };
const called = { type: "function_call", id: "fc_1", callId: "call_1", name: "warmth", status: "completed" };
const call = { ...called, arguments: '{"city":"Lisbon"}' };
const city = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const warmth = tool({ name: "warmth", description: "In °C.", parameters: city, execute: () => "19" });

withServer("two turns, the first with a tool, are stored and sent to the model as with the SDK's own session", async () => {
  const both = [new MemorySession(), await holding()].map(async (session) => {
    const answers = [assistant("19 °C.", { id: "msg_1" }), assistant("Yes.", { id: "msg_2" })];
    const model = new ScriptedModel([thought, call], [answers[0]], [answers[1]]);
    const agent = new Agent({ name: "planner", model, tools: [warmth] });
    await runner.run(agent, "How warm is Lisbon?", { session });
    const { finalOutput } = await runner.run(agent, "Is that nice?", { session });
    return { finalOutput, sent: model.sent, held: await session.getItems() };
  });
  const [theirs, ours] = await Promise.all(both);
  assert.deepEqual(ours, theirs);
  assert.deepEqual([ours.finalOutput, ours.sent[2].length, ours.held.length], ["Yes.", 6, 7]);
});

withServer("what a guardrail stops is a transaction, also of a next run where the first has not seen it done", async () => {
  const stopped = [{ name: "all", execute: async () => ({ outputInfo: null, tripwireTriggered: true }) }];
  const more = { tools: [warmth], toolUseBehavior: "stop_on_first_tool", outputGuardrails: stopped };
  const planner = () => new Agent({ name: "planner", model: new ScriptedModel([call]), ...more });
  const stop = async (agent, input, session) => {
    const error = await runner.run(agent, input, { session }).catch((thrown) => thrown);
    assert.ok(error instanceof OutputGuardrailTripwireTriggered, error);
    return error;
  };
  const [memory, session] = [new MemorySession(), await holding()];
  await stop(planner(), "How warm?", memory);
  const deaf = session.reopen({ retries: 1, fetch: losing(({ method }) => method !== "GET") });
  const agent = planner();
  const { cause, state } = await stop(agent, "How warm?", deaf);
  assert.match(cause.message, /lost/);
  await stop(agent, state, session);
  assert.deepEqual(await session.getItems(), await memory.getItems());
});

withServer("an append is done once, also after others", async () => {
  const session = await holding(["a"]);
  assert.ok(isSessionHistoryTransactionAwareSession(session));
  await append(session, "one", ["b", "c"]);
  await append(session, "one", ["b", "c"]);
  await session.addItems(items(["d"]));
  await append(session.reopen(), "one", ["b", "c"]);
  await refused(append(session, "one", ["b"]), REUSED);
  await refused(replace(session, "one", ["d"], ["b", "c"]), REUSED);
  await holds(session, "a", "b", "c", "d");
  await refused(append(session, " ", ["x"]), /non-empty/);
  await refused(session.applyHistoryTransaction({ operationId: "x", transaction: { type: "other" } }), /Unsupported/);
  await refused(session.addItems([{ ...user("x"), extra: new Date() }]), /plain JSON/);
  await append(session, "nothing", []);
  await holds(session, "a", "b", "c", "d");
});

withServer("transactions of any number of items are done once", async () => {
  const many = Array.from({ length: 250 }, (_, n) => `item ${n}`);
  const session = await holding(["a"]);
  await append(session, "many", many);
  await append(session.reopen(), "many", many);
  await refused(append(session, "many", many.slice(1)), REUSED);
  await holds(session, "a", ...many);
  // The suffix begins within what was added in one commit.
  await replace(session, "some", many.slice(240), ["x"]);
  await replace(session.reopen(), "some", many.slice(240), ["x"]);
  await holds(session, "a", ...many.slice(0, 240), "x");
  await refused(replace(session, "some", many.slice(240), ["y"]), REUSED);
  await replace(session, "more", ["x"], many);
  await replace(session, "more", ["x"], many);
  await holds(session, "a", ...many.slice(0, 240), ...many);
});

withServer("the suffix is replaced if it is the expected one, and once, also after it has changed", async () => {
  const session = await holding(["a", "b", "c"]);
  await refused(replace(session, "one", ["b", "x"], ["y"]), MISMATCH);
  await refused(replace(session, "one", ["x", "a", "b", "c"], ["y"]), MISMATCH);
  await refused(replace(await holding(), "one", ["x"], ["y"]), MISMATCH);
  await holds(session, "a", "b", "c");
  await replace(session, "one", ["b", "c"], ["d"]);
  await replace(session, "one", ["b", "c"], ["d"]);
  await session.addItems(items(["b", "c"]));
  await replace(session.reopen(), "one", ["b", "c"], ["d"]);
  await holds(session, "a", "d", "b", "c");
  await replace(session, "two", ["d", "b", "c"], []);
  await replace(session, "one", ["b", "c"], ["d"]);
  await replace(session, "two", ["d", "b", "c"], []);
  await refused(replace(session, "one", ["a"], ["d"]), REUSED);
  await refused(append(session, "one", ["d"]), REUSED);
  await holds(session, "a");
});

withServer("of those who have read the same history one replaces it; all may add to it", async () => {
  for (let round = 0; round < 5; round += 1) {
    const session = await holding(["a", "b"]);
    const results = await eight((n) => replace(session, `${n}`, ["b"], [`b${n}`]));
    const won = results.findIndex(({ status }) => status === "fulfilled");
    assert.equal(fulfilled(results).length, 1);
    for (const { reason } of results.filter((_, n) => n !== won)) assert.match(reason.message, MISMATCH);
    await holds(session, "a", `b${won}`);
    assert.equal(fulfilled(await eight(() => replace(session, "same", [`b${won}`], ["c"]))).length, 8);
    await holds(session, "a", "c");
    assert.equal(fulfilled(await eight((n) => append(session, `added ${n}`, ["d"]))).length, 8);
    await holds(session, "a", "c", ..."dddddddd");
    assert.equal(fulfilled(await eight(() => session.popItem())).filter(Boolean).length, 8);
    await holds(session, "a", "c");
  }
});

withServer("requests whose answers are lost are done once", async () => {
  let sent = 0;
  const session = await holding(["a", "b", "c"], { fetch: losing(() => (sent += 1) % 2 === 1) });
  assert.deepEqual(await session.popItem(), user("c"));
  await append(session, "one", ["d", "e"]);
  await replace(session, "two", ["d", "e"], ["f"]);
  await holds(session, "a", "b", "f");
  await session.replaceHistoryWithCompaction(items(["g"]));
  await holds(session, "g");
});

withServer("a call is rewritten where it stands, as by the SDK's own session, whoever writes meanwhile", async () => {
  const again = { ...call, id: "fc_2" };
  const history = [user("How warm?"), thought, call, user("Well?"), again];
  const mutations = [{ type: "replace_function_call", callId: "call_1", replacement: { ...call, arguments: '{"city":"Porto"}' } }];
  const [memory, session] = [new MemorySession({ initialItems: history }), await holding()];
  assert.ok(isSessionHistoryRewriteAwareSession(session));
  await session.addItems(history);
  await memory.applyHistoryMutations({ mutations });
  await session.applyHistoryMutations({ mutations });
  await session.applyHistoryMutations({ mutations: [] });
  assert.deepEqual(await session.getItems(), await memory.getItems());
  const others = eight((n) => session.addItems([user(`${n}`)]));
  const rewritten = eight((n) =>
    session.applyHistoryMutations({ mutations: [{ ...mutations[0], replacement: { ...call, name: `tool ${n}` } }] }),
  );
  assert.equal(fulfilled([...(await others), ...(await rewritten)]).length, 16);
  const held = await session.getItems();
  assert.equal(held.length, 4 + 8);
  assert.equal(held.filter(({ callId }) => callId === "call_1").length, 1);
});

withServer("items are read in order, however many, and come back as they were given, with ids that may come again", async () => {
  const texts = Array.from({ length: 250 }, (_, n) => `item ${n}`);
  const session = await holding(texts);
  await holds(session, ...texts);
  for (const limit of [0, 1, 100, 120, 300]) {
    assert.deepEqual(await session.getItems(limit), limit ? items(texts).slice(-limit) : []);
  }
  await session.clearSession();
  await holds(session);
  assert.equal(await session.popItem(), undefined);
  await session.addItems([thought, call, thought]);
  await session.addItems([await session.popItem()]);
  assert.deepEqual(await session.getItems(), [thought, call, thought]);
  const empty = await holding();
  assert.deepEqual([await empty.getItems(), await empty.popItem(), await empty.clearSession()], [[], undefined, undefined]);
  await empty.replaceHistoryWithCompaction(items(["a"]));
  await holds(empty, "a");
});

withServer("items of any number and size are added in one commit", async () => {
  const { sent, fetch } = counting();
  const session = await holding(["before"], { fetch });
  const large = Array.from({ length: 22 }, (_, n) => `${n} ${"x".repeat(200_000)}`);
  const huge = ["\u0001".repeat(300_000), '"'.repeat(400_000)];
  const many = Array.from({ length: 150 }, (_, n) => `item ${n}`);
  sent.length = 0;
  for (const texts of [large, ...huge.map((text) => [text]), many]) await session.addItems(items(texts));
  assert.equal(sent.filter((request) => request.endsWith("/messages")).length, 4);
  await holds(session, "before", ...large, ...huge, ...many);
  for (const limit of [1, 100, 151]) {
    assert.deepEqual(await session.getItems(limit), items([...huge, ...many]).slice(-limit));
  }
  await session.addItems([]);
  // What is left of a batch stays one commit, and its records are there as long as it needs them.
  assert.deepEqual(await session.popItem(), user("item 149"));
  assert.deepEqual(await session.popItem(), user("item 148"));
  await holds(session.reopen(), "before", ...large, ...huge, ...many.slice(0, -2));
});

withServer("of many items nothing is seen of a commit that fails, and the same ones can be added again", async () => {
  let isDown = true;
  const many = Array.from({ length: 350 }, (_, n) => `item ${n}`);
  const owner = `test-${crypto.randomUUID()}`;
  const broken = async (address, request) => {
    if (isDown && request.method === "POST" && `${address}`.endsWith("/messages")) throw new TypeError("down");
    return fetch(address, request);
  };
  const session = new ConversationStoreSession({ store: open({ owner, retries: 0, fetch: broken }), sessionId: "trip" });
  await assert.rejects(session.addItems(items(many)), /down/);
  await holds(session);
  isDown = false;
  await session.addItems(items(many));
  await holds(session, ...many);
});

withServer("records of a batch are deleted with its items, also those of a commit that was never done", async () => {
  const store = open();
  const session = new ConversationStoreSession({ store, sessionId: "trip" });
  const many = items(Array.from({ length: 150 }, (_, n) => `item ${n}`));
  const keys = async () => (await store.records("trip").list({ prefix: "batch/" })).data.map(({ key }) => key);
  await session.addItems(many);
  assert.equal((await keys()).length, 1);
  await session.replaceHistoryWithCompaction(many);
  assert.equal((await keys()).length, 1);
  assert.deepEqual(await session.getItems(), many);
  await session.clearSession();
  assert.deepEqual([await keys(), await session.getItems()], [[], []]);
  await session.addItems(many);
  for (let n = 150; n > 0; n -= 50)
    await replace(
      session,
      `${n}`,
      many.slice(n - 50, n).map(({ content }) => content),
      [],
    );
  assert.deepEqual([await keys(), await session.getItems()], [[], []]);
});

withServer("a batch that is removed while it is read is read anew; one whose records are gone is an error", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const store = open({ owner });
  const many = items(Array.from({ length: 150 }, (_, n) => `item ${n}`));
  const session = new ConversationStoreSession({ store, sessionId: "trip" });
  await session.addItems(many);
  const isPage = ({ method }, { pathname }) => method === "GET" && pathname.endsWith("/messages");
  const fetch = interrupted(isPage, () => session.replaceHistoryWithCompaction(items(["a"])));
  await holds(new ConversationStoreSession({ store: open({ owner, fetch }), sessionId: "trip" }), "a");
  await session.addItems(many);
  await store.records("trip").deleteAll("batch/");
  await assert.rejects(session.getItems(), /Records of the conversation trip are gone/);
});

withServer("batches have the format of the Python client", async () => {
  const store = open();
  const many = Array.from({ length: 150 }, (_, n) => `item ${n}`);
  const session = new ConversationStoreSession({ store, sessionId: "trip" });
  await session.addItems(items(many));
  const [{ id, seq: _seq, created_at: _at, ...message }] = (await store.messages.list("trip")).data;
  const { digest } = message;
  assert.deepEqual(message, { type: "record_batch", digest, count: 150, parts: 1 });
  assert.match(digest, /^[0-9a-f]{32}$/);
  const [record] = (await store.records("trip").getAll([], ["batch/"])).values();
  assert.deepEqual([record.key, record.bytes[0]], [`batch/${digest}/0000`, 0]);
  const [first] = JSON.parse(new TextDecoder().decode(record.bytes.subarray(1)));
  assert.deepEqual([first.id, first.content], [id, "item 0"]);
  // Python's are compressed.
  const source = JSON.stringify(many.slice(0, 7).map((content, n) => ({ id: `p-${n}`, ...user(content) })));
  const deflated = new Blob([source]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const value = new Uint8Array(await new Blob(["\u0001", new Uint8Array(await new Response(deflated).arrayBuffer())]).arrayBuffer());
  await store.records("trip").put(`batch/${"0".repeat(32)}/0000`, value);
  await store.messages.replace("trip", 0, [{ type: "record_batch", id: "p-0", digest: "0".repeat(32), count: 5, parts: 1 }]);
  await holds(session, ...many.slice(0, 5));
});

withServer("a message that others call a batch is an item", async () => {
  const store = open();
  const foreign = { type: "record_batch", digest: "mine", count: 2, parts: 1 };
  await store.messages.add("trip", foreign);
  const session = new ConversationStoreSession({ store, sessionId: "trip" });
  assert.deepEqual(
    (await session.getItems()).map(({ id: _id, ...item }) => item),
    [foreign],
  );
});

withServer("items come back as they were given, with bytes, and with fields that the store has for itself", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const result = { type: "function_call_result", name: "draw", callId: "call_1", status: "completed" };
  const given = [
    { ...result, output: [{ type: "image", image: { data: bytes, mediaType: "image/png" } }] },
    { ...result, output: { type: "file", file: { data: new Uint8Array(), mediaType: "text/plain", filename: "a" } } },
    { ...user("x"), seq: 7, created_at: 5, item_id: "mine" },
    { ...user("x"), id: "own", item_id: null },
    { type: "function_call", callId: "c", name: "f", arguments: "{}", created_at: 5, seq: 4 },
    { type: "unknown", id: null, providerData: { $bytes: "AA==", $object: { $bytes: 1 } } },
    { type: "unknown", providerData: { only: { $bytes: "AA==" }, more: { $object: { $object: {} } }, none: { $bytes: 7 } } },
    { type: "agent_item", item: { type: "x" } },
    { type: "record_batch", digest: "x", count: 1, parts: 1 },
    { type: "unknown", providerData: { __proto__: null, text: "\ud83d" } },
  ];
  const [memory, session] = [new MemorySession(), await holding()];
  await memory.addItems(given);
  await session.addItems(given);
  const found = await session.getItems();
  assert.deepEqual(found, (await memory.getItems()).with(-1, { type: "unknown", providerData: { text: "\ud83d" } }));
  assert.ok(found[0].output[0].image.data instanceof Uint8Array);
  // Node's buffers are bytes; a suffix is compared with them.
  const [expectedSuffix, replacement] = [
    [{ ...given[0], output: [{ ...given[0].output[0], image: { data: Buffer.from(bytes), mediaType: "image/png" } }] }],
    [user("y")],
  ];
  await session.clearSession();
  await session.addItems([given[0]]);
  await session.applyHistoryTransaction({ operationId: "one", transaction: { type: "replace_suffix", expectedSuffix, replacement } });
  await holds(session, "y");
});

withServer("a rewriting leaves the other items as they are stored, to the last digit", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const store = open({ owner });
  const session = new ConversationStoreSession({ store, sessionId: "trip" });
  await session.addItems([user("How warm?"), call, user("exact")]);
  const { data } = await store.messages.list("trip");
  const exact = '{"type":"message","role":"user","content":"large","large":9007199254740993,"exact":1.10}';
  const raw = { method: "POST", headers: { "content-type": "application/json", "x-owner-id": owner }, body: exact };
  assert.equal(data.length, 3);
  await fetch(`${process.env.BASE_URL}/v1/conversations/trip/messages`, raw);
  const mutations = [{ type: "replace_function_call", callId: "call_1", replacement: { ...call, name: "other" } }];
  await session.applyHistoryMutations({ mutations });
  const after = await fetch(`${process.env.BASE_URL}/v1/conversations/trip/messages`, { headers: raw.headers });
  const text = await after.text();
  assert.ok(text.includes('"large":9007199254740993,"exact":1.10'), text);
  assert.deepEqual(
    (await session.getItems()).map(({ name, content }) => name ?? content),
    ["How warm?", "other", "exact", "large"],
  );
});

withServer("sessions of any name", async () => {
  const store = open();
  const names = [
    "会".repeat(20),
    "会".repeat(43),
    `${"会".repeat(42)}议`,
    "x".repeat(129),
    "x".repeat(10_000),
    "user/7",
    "a\ud83d",
    "a\ufffd",
    "\ufeffbom",
  ];
  for (const sessionId of names) await new ConversationStoreSession({ store, sessionId }).addItems([user(sessionId.slice(0, 200))]);
  for (const sessionId of names) {
    const session = new ConversationStoreSession({ store, sessionId });
    assert.equal(await session.getSessionId(), sessionId);
    await holds(session, sessionId.slice(0, 200));
  }
});
