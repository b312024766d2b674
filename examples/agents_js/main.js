// Run the stock OpenAI Agents SDK with the store as its session and check that it finds what it expects.
//
//     npm ci && npm start                       # beside a running `make run`
//     API_URL=https://... TOKEN=... npm start   # any other deployment
//
// Each phase below is one function and one line of output; the first assertion that fails ends the run. No model is called, a
// script stands in for one. Where the SDK's own MemorySession does the same, what it holds is what is expected.
import assert from "node:assert/strict";

import { Agent, MemorySession, OutputGuardrailTripwireTriggered, Runner } from "@openai/agents-core";
import { Usage, UserError, assistant, tool } from "@openai/agents-core";

import { ConversationStoreSession } from "./session.js";

const url = process.env.API_URL ?? "http://127.0.0.1:9000";
const headers = process.env.TOKEN ? { authorization: `Bearer ${process.env.TOKEN}` } : {};
const runner = new Runner({ tracingDisabled: true });

const open = (options) => new ConversationStoreSession({ url, headers, ...options });
const reopened = async (session, options) => open({ sessionId: await session.getSessionId(), ...options });
const user = (content) => ({ type: "message", role: "user", content });
const items = (texts) => texts.map(user);
const eight = (each) => Promise.allSettled(Array.from({ length: 8 }, (_, n) => each(n)));
const fulfilled = (results) => results.filter(({ status }) => status === "fulfilled").map(({ value }) => value);

async function holding(...texts) {
  const session = open();
  await session.addItems(items(texts));
  return session;
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
const MISMATCH = /suffix no longer matches/;
const REUSED = /already applied with a different transaction/;

/** A fetch that sends the requests, and loses the answers to some. */
function losing(isLost) {
  return async (address, request) => {
    const answer = await fetch(address, request);
    if (isLost(request)) throw new TypeError("the answer was lost");
    return answer;
  };
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

/** Two turns, the first with a tool, are stored and sent to the model as with the SDK's own session. */
async function turns() {
  const both = [new MemorySession(), open()].map(async (session) => {
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
  return "7 items, as in memory";
}

/** What a guardrail stops is a transaction of the runner, and of the next one where the first has not seen it done. */
async function guarded() {
  const stopped = [{ name: "all", execute: async () => ({ outputInfo: null, tripwireTriggered: true }) }];
  const more = { tools: [warmth], toolUseBehavior: "stop_on_first_tool", outputGuardrails: stopped };
  const planner = () => new Agent({ name: "planner", model: new ScriptedModel([call]), ...more });
  const stop = async (agent, input, session) => {
    const error = await runner.run(agent, input, { session }).catch((thrown) => thrown);
    assert.ok(error instanceof OutputGuardrailTripwireTriggered, error);
    return error;
  };
  const [memory, session] = [new MemorySession(), open()];
  await stop(planner(), "How warm?", memory);
  const deaf = await reopened(session, { fetch: losing(({ method }) => method !== "GET") });
  const agent = planner();
  const { cause, state } = await stop(agent, "How warm?", deaf);
  assert.match(cause.message, /lost/);
  await stop(agent, state, session);
  assert.deepEqual(await session.getItems(), await memory.getItems());
  return "written once in two runs";
}

/** An append is done once, also after others. */
async function appends() {
  const session = await holding("a");
  await append(session, "one", ["b", "c"]);
  await append(session, "one", ["b", "c"]);
  await session.addItems(items(["d"]));
  await append(await reopened(session), "one", ["b", "c"]);
  await refused(append(session, "one", ["b"]), REUSED);
  await refused(replace(session, "one", ["d"], ["b", "c"]), REUSED);
  await holds(session, "a", "b", "c", "d");
  await refused(append(session, "many", Array(101).fill("x")), /up to 100 items/);
  await holds(session, "a", "b", "c", "d");
  return "once each";
}

/** The suffix is replaced if it is the expected one, and once, also after it has changed. */
async function replaces() {
  const session = await holding("a", "b", "c");
  await refused(replace(session, "one", ["b", "x"], ["y"]), MISMATCH);
  await refused(replace(session, "one", ["x", "a", "b", "c"], ["y"]), MISMATCH);
  await holds(session, "a", "b", "c");
  await replace(session, "one", ["b", "c"], ["d"]);
  await replace(session, "one", ["b", "c"], ["d"]);
  await session.addItems(items(["b", "c"]));
  await replace(await reopened(session), "one", ["b", "c"], ["d"]);
  await holds(session, "a", "d", "b", "c");
  await replace(session, "two", ["d", "b", "c"], []);
  await replace(session, "one", ["b", "c"], ["d"]);
  await replace(session, "two", ["d", "b", "c"], []);
  await refused(replace(session, "one", ["a"], ["d"]), REUSED);
  await refused(append(session, "one", ["d"]), REUSED);
  await holds(session, "a");
  return "the expected ones, once each";
}

/** Of those who have read the same history one replaces it; all may add to it. */
async function races() {
  for (let round = 0; round < 10; round += 1) {
    const session = await holding("a", "b");
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
  return "10 rounds of 8: one replaced, all added, each popped another";
}

/** Every request is sent twice, since its first answer is lost, and done once. */
async function losses() {
  let sent = 0;
  const session = open({ fetch: losing(() => (sent += 1) % 2 === 1) });
  await session.addItems(items(["a", "b", "c"]));
  assert.deepEqual(await session.popItem(), user("c"));
  await append(session, "one", ["d", "e"]);
  await replace(session, "two", ["d", "e"], ["f"]);
  await holds(session, "a", "b", "f");
  await session.replaceHistoryWithCompaction(items(["g"]));
  await holds(session, "g");
  return `${sent / 2} requests`;
}

/** Items are read in order, however many, and come back as they were given, with ids of their own that may come again. */
async function reads() {
  const texts = Array.from({ length: 250 }, (_, n) => `item ${n}`);
  const session = await holding(...texts);
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
  assert.deepEqual(await open().getItems(), []);
  return "250 items";
}

for (const [name, phase] of Object.entries({ turns, guarded, appends, replaces, races, losses, reads })) {
  const began = performance.now();
  const found = await phase();
  console.log(`${name.padEnd(10)} ${found} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}
console.log("Agents SDK for JavaScript: all as expected");
