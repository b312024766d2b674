// Use the store through the stock `openai` package and check that it finds what it expects.
//
//     npm ci && npm start                              # beside a running `make run`
//     API_URL=https://... OPENAI_API_KEY=... npm start   # any other deployment
//
// Each phase below is one function and one line of output; the first assertion that fails ends the run.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import OpenAI from "openai";

const baseURL = `${(process.env.API_URL ?? "http://127.0.0.1:9000").replace(/\/$/, "")}/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.OPENAI_API_KEY ?? "any" });
const { items } = client.conversations;
const user = (content, more = {}) => ({ role: "user", content, ...more });
const textOf = (item) => item.content.map((part) => part.text).join("");

/** Every method of client.conversations. */
async function conversations() {
  const created = await client.conversations.create({ metadata: { topic: "trip" }, items: [user("hi")] });
  assert.match(created.id, /^conv_/);
  assert.equal(created.object, "conversation");
  assert.ok(Math.abs(created.created_at - Date.now() / 1000) < 3600);
  assert.deepEqual((await client.conversations.retrieve(created.id)).metadata, { topic: "trip" });
  const updated = await client.conversations.update(created.id, { metadata: { topic: "food" } });
  assert.deepEqual(updated.metadata, { topic: "food" });
  const deleted = await client.conversations.delete(created.id);
  assert.deepEqual(deleted, { id: created.id, object: "conversation.deleted", deleted: true });
  assert.deepEqual((await client.conversations.create()).metadata, {});
  return "created, retrieved, updated, deleted";
}

/** Items of every kind come back as they were sent. */
async function itemTypes() {
  const { id } = await client.conversations.create();
  const sent = JSON.parse(await readFile(new URL("../openai_items.json", import.meta.url)));
  const answered = [];
  for (let at = 0; at < sent.length; at += 20) {
    const added = await items.create(id, { items: sent.slice(at, at + 20), include: ["reasoning.encrypted_content"] });
    assert.equal(added.object, "list");
    assert.equal(added.has_more, false);
    assert.deepEqual([added.first_id, added.last_id], [added.data[0].id, added.data.at(-1).id]);
    answered.push(...added.data);
  }
  const listed = (await items.list(id, { order: "asc", limit: 100 })).data;
  assert.deepEqual(listed, answered);
  assert.deepEqual(listed[0].content, [{ type: "input_text", text: "easy" }]);
  assert.deepEqual(listed[2].content, sent[2].content);
  assert.deepEqual(listed[3].content, [{ type: "output_text", text: "an answer", annotations: [] }]);
  assert.deepEqual(listed[5], { id: listed[5].id, ...sent[5], status: "completed" });
  for (const [at, item] of listed.entries()) {
    assert.equal(item.type, sent[at].type ?? "message");
    if (item.type !== "message") assert.deepEqual({ ...item, ...sent[at] }, item);
    assert.deepEqual(await items.retrieve(item.id, { conversation_id: id }), item);
  }
  for await (const item of items.list(id)) assert.equal((await items.delete(item.id, { conversation_id: id })).id, id);
  assert.deepEqual((await items.list(id)).data, []);
  return `${sent.length} items`;
}

/** Messages that others added as Chat Completions read as items. */
async function bothViews() {
  const { id } = await client.conversations.create();
  const messages = [user("hello"), { role: "assistant", content: "Hello!", refusal: null }];
  await client.post(`/conversations/${id}/messages`, { body: { messages } });
  const page = await items.list(id, { order: "asc" });
  assert.deepEqual(page.data.map((item) => [item.type, item.status, item.role, textOf(item)]), [
    ["message", "completed", "user", "hello"],
    ["message", "completed", "assistant", "Hello!"],
  ]);
  const added = await items.create(id, { items: [user("and now?")] });
  const native = await client.get(`/conversations/${id}/messages`);
  assert.deepEqual([native.data[2].id, native.data[2].content], [added.first_id, "and now?"]);
  return "2 messages as items, an item as a message";
}

/** A thousand items, one after the other, in both orders. */
async function paging() {
  const { id } = await client.conversations.create();
  const texts = Array.from({ length: 1000 }, (_, n) => `item ${n}`);
  for (let at = 0; at < 1000; at += 20) {
    await items.create(id, { items: texts.slice(at, at + 20).map((text) => user(text)) });
  }
  for (const [order, limit] of [["asc"], ["desc"], ["asc", 100], ["desc", 73]]) {
    const seen = [];
    for await (const item of items.list(id, { order, limit })) seen.push(textOf(item));
    assert.deepEqual(seen, order === "asc" ? texts : texts.toReversed(), `${order} ${limit}`);
  }
  const { response } = await items.list(id).withResponse();
  assert.equal(response.headers.get("cache-status"), "redis; hit");
  return "1000 items, asc and desc";
}

/** What goes wrong is thrown as what it is, and what cannot succeed is not tried again. */
async function errors() {
  const { id } = await client.conversations.create();
  await items.create(id, { items: [user("x", { id: "once" })] });
  await items.create(id, { items: [user("x", { id: "once" })] });
  assert.equal((await items.list(id)).data.length, 1);
  for (const call of [
    () => client.conversations.retrieve("conv_none"),
    () => client.conversations.delete("conv_none"),
    () => items.list("conv_none"),
    () => items.create("conv_none", { items: [user("x")] }),
    () => items.retrieve("msg_none", { conversation_id: id }),
    () => items.delete("msg_none", { conversation_id: id }),
  ]) {
    await assert.rejects(call, OpenAI.NotFoundError);
  }
  for (const [call, param] of [
    [() => items.create(id, { items: Array(21).fill(user("x")) }), "items"],
    [() => items.create(id, { items: [{ role: "bot", content: "x" }] }), "items[0].role"],
    [() => items.list(id, { limit: 101 }), "limit"],
    [() => items.list(id, { after: "msg_none" }), "after"],
  ]) {
    await assert.rejects(call, (error) => error instanceof OpenAI.BadRequestError && error.param === param);
  }
  let sent = 0;
  const counted = client.withOptions({ maxRetries: 2, fetch: (...request) => (sent++, fetch(...request)) });
  const again = () => counted.conversations.items.create(id, { items: [user("y", { id: "once" })] });
  await assert.rejects(again, OpenAI.ConflictError);
  assert.equal(sent, 1);
  return "NotFoundError, BadRequestError, ConflictError";
}

for (const [name, phase] of Object.entries({ conversations, itemTypes, bothViews, paging, errors })) {
  const began = performance.now();
  const counted = await phase();
  console.log(`${name.padEnd(14)} ${counted} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}
console.log("openai for JavaScript: all as expected");
