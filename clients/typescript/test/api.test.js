// Every operation of the API, against a real server.
import assert from "node:assert/strict";

import { ConflictError, NotFoundError, PreconditionFailedError } from "conversation-store";

import { counting, interrupted, losing, open, withServer } from "./support.js";

const user = (content) => ({ role: "user", content });
const gather = async (pages) => {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
};

withServer("health", async () => {
  const store = open();
  assert.equal((await store.health()).status, "ok");
  const { postgres, redis } = await store.health({ deep: true });
  assert.deepEqual([postgres, redis], ["ok", "ok"]);
});

withServer("conversations", async () => {
  const store = open();
  const { conversations } = store;
  const records = (id) => store.records(id);
  const created = await conversations.create({ id: "trip", title: "A trip", metadata: { "a key": "b&c" }, messages: [user("Hello!")] });
  assert.deepEqual([created.id, created.message_count, created.version], ["trip", 1, 1]);
  assert.deepEqual(await conversations.get("trip"), created);
  assert.equal(await conversations.get("trip", { min_version: 1 }, { ifNoneMatch: 1 }), null);
  assert.equal((await conversations.update("trip", { title: "Another" }, { ifMatch: 1 })).title, "Another");
  assert.equal((await conversations.get("trip", {}, { ifNoneMatch: 1 })).title, "Another");
  await assert.rejects(conversations.update("trip", { title: "Late" }, { ifMatch: 1 }), (error) => {
    return error instanceof PreconditionFailedError && error.code === "version_mismatch" && error.version === 2;
  });
  await records("trip").putAll(["a/1", "a/2", "b"].map((key) => ({ key, value: key })));
  const fork = await conversations.create({ fork_of: "trip", at: 1, records_prefix: "a/", records: [{ key: "c", value: "own" }] });
  assert.deepEqual([fork.forked_from, fork.title, fork.message_count], ["trip", "Another", 1]);
  assert.deepEqual(
    (await records(fork.id).list()).data.map(({ key }) => key),
    ["a/1", "a/2", "c"],
  );
  for (let n = 0; n < 3; n += 1) await conversations.create({ id: `${n}` });
  assert.deepEqual(
    (await gather(conversations.iterate({ limit: 2 }))).map(({ id }) => id),
    ["2", "1", "0", fork.id, "trip"],
  );
  assert.deepEqual(
    (await conversations.list({ metadata: { "a key": "b&c" }, forked_from: "trip" })).data.map(({ id }) => id),
    [fork.id],
  );
  assert.deepEqual(await conversations.delete("trip"), { id: "trip", object: "conversation.deleted", deleted: true });
  await assert.rejects(conversations.get("trip"), (error) => error instanceof NotFoundError && error.code === "conversation_not_found");
  await assert.rejects(
    conversations.create({ id: "trip" }),
    (error) => error instanceof ConflictError && error.code === "conversation_deleted",
  );
});

withServer("conversations that are archived, and that expire", async () => {
  const store = open();
  const { conversations } = store;
  const ids = async (query) => (await gather(conversations.iterate(query))).map(({ id }) => id);
  const created = await conversations.create({ id: "old", archived: true, expires_after: 60 });
  assert.deepEqual([created.archived, created.expires_after, created.expires_at], [true, 60, created.updated_at + 60]);
  const fresh = await conversations.create({ id: "new", metadata: { channel: "web" } });
  assert.deepEqual([fresh.archived, fresh.expires_after], [false, null]);
  assert.deepEqual([await ids(), await ids({ archived: true }), await ids({ archived: "any" })], [["new"], ["old"], ["new", "old"]]);
  const changed = await conversations.update("old", { archived: null, expires_after: null });
  assert.deepEqual([changed.archived, changed.expires_after], [false, null]);
  const tooShort = { code: "out_of_range", param: "expires_after" };
  await assert.rejects(conversations.update("old", { expires_after: 59 }), tooShort);
  await assert.rejects(store.deleteConversations({}), { status: 400, param: "metadata" });
  const web = { metadata: { channel: "web" } };
  const counted = { object: "conversation.deletions", dry_run: true, matched: 1, deleted: 0, has_more: false };
  assert.deepEqual(await store.deleteConversations(web), counted);
  assert.deepEqual(await store.deleteConversations(web, { dryRun: false }), { ...counted, dry_run: false, deleted: 1 });
  assert.deepEqual(await ids({ archived: "any" }), ["old"]);
});

withServer("everything that the caller has is exported, and erased", async () => {
  const store = open();
  const { conversations, messages } = store;
  await messages.add("trip", [user("a"), user("b")], { records: [{ key: "state", value: "1" }] });
  await store.records().put("settings", "{}");
  const { conversations: of, messages: count, records, bytes, erasure } = await store.owner();
  assert.deepEqual([of, count, records, bytes > 0, erasure], [1, 2, 2, true, null]);
  const lines = (await gather(store.exportOwner())).flatMap((page) => page.lines.map((line) => JSON.parse(line)));
  assert.deepEqual(
    lines.map(({ record }) => record),
    ["owner", "record", "conversation", "message", "message", "record"],
  );
  assert.deepEqual(lines[3].body.content, "a");
  await assert.rejects(gather(store.exportOwner({ after: "?" })), { code: "invalid_cursor" });
  const { deleted, erasure: receipt } = await store.deleteOwner();
  assert.deepEqual([deleted, receipt.conversations, receipt.requested_by], [true, 1, "owner"]);
  assert.match(receipt.id, /^erasure_[0-9a-f]{32}$/);
  assert.ok(receipt.hidden_at >= receipt.requested_at);
  await assert.rejects(conversations.get("trip"), NotFoundError);
  assert.equal(await store.records().get("settings"), undefined);
  const left = await store.owner();
  assert.deepEqual([left.conversations, left.messages, left.records, left.erasure.id], [0, 0, 0, receipt.id]);
  await assert.rejects(messages.add("trip", user("c")), { code: "conversation_deleted" });
  await messages.add("another", user("c"));
});

withServer("messages", async () => {
  const { messages, conversations } = open();
  const texts = Array.from({ length: 250 }, (_, n) => `message ${n}`);
  assert.deepEqual(await messages.last("trip", 5), { messages: [], version: 0 });
  const first = await messages.add("trip", user(texts[0]), { ifNoneMatch: "*" });
  assert.deepEqual([first.version, first.data[0].seq, first.data[0].content], [1, 1, texts[0]]);
  for (let at = 1; at < 250; at += 100) await messages.add("trip", texts.slice(at, at + 100).map(user));
  const content = (found) => found.map((message) => message.content);
  const page = await messages.list("trip", { limit: 10 });
  assert.deepEqual([content(page.data), page.version, page.has_more], [texts.slice(-10), 4, true]);
  assert.equal(await messages.list("trip", { limit: 10 }, { ifNoneMatch: 4 }), null);
  assert.deepEqual(content(await gather(messages.iterate("trip"))), texts);
  assert.deepEqual(content(await gather(messages.iterate("trip", { after: 200 }))), texts.slice(200));
  for (const count of [0, 1, 100, 101, 250, Infinity]) {
    const last = await messages.last("trip", count);
    assert.deepEqual([content(last.messages), last.version], [count ? texts.slice(-count) : [], count ? 4 : 0]);
  }
  await assert.rejects(messages.replace("trip", 1, [], { ifMatch: 3 }), { code: "version_mismatch", version: 4 });
  const replaced = await messages.replace("trip", 1, [user("b")], { ifMatch: 4 });
  assert.deepEqual([replaced.deleted, replaced.version], [249, 5]);
  assert.deepEqual(content((await messages.last("trip", 9)).messages), [texts[0], "b"]);
  assert.deepEqual(content((await messages.list("trip", { start_on: "assistant" })).data), []);
  assert.equal((await conversations.get("trip")).message_count, 2);
});

withServer("a write whose answer is lost is done once", async () => {
  let sent = 0;
  const store = open({ fetch: losing(() => (sent += 1) % 2 === 1) });
  const { version } = await store.messages.add("trip", [user("a"), user("b")]);
  assert.equal((await store.messages.replace("trip", 1, [user("c")], { ifMatch: version })).version, 2);
  await store.conversations.update("trip", { title: "Trip" }, { ifMatch: 2 });
  const { messages } = await store.messages.last("trip", 9);
  assert.deepEqual(
    messages.map(({ content, seq }) => [content, seq]),
    [
      ["a", 1],
      ["c", 3],
    ],
  );
  const [{ version: now, title }] = await gather(store.conversations.iterate());
  assert.deepEqual([now, title], [3, "Trip"]);
});

withServer("pages of one history are of one version", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const { messages } = open({ owner });
  for (let n = 0; n < 2; n += 1)
    await messages.add(
      "trip",
      Array.from({ length: 75 }, () => user("old")),
    );
  const fetch = interrupted(
    ({ method }) => method === "GET",
    () => messages.replace("trip", 20, [user("new")]),
  );
  const found = await open({ owner, fetch }).messages.last("trip", Infinity);
  assert.deepEqual([found.messages.length, found.messages.at(-1).content, found.version], [21, "new", 3]);
});

withServer("a read of many messages ends while others write, and is of one version", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const { sent, fetch } = counting();
  const [{ messages }, reader] = [open({ owner }), open({ owner, fetch })];
  const add = (count) =>
    messages.add(
      "trip",
      Array.from({ length: count }, () => user("old")),
    );
  for (let n = 0; n < 8; n += 1) await add(100);
  let isOver = false;
  const write = async () => {
    for (let n = 0; !isOver; n += 1) {
      await add(1);
      await new Promise((done) => setTimeout(done, 10));
    }
  };
  const writing = write();
  try {
    const began = performance.now();
    for (const count of [Infinity, 250, Infinity]) {
      const found = await reader.messages.last("trip", count);
      const seqs = found.messages.map(({ seq }) => seq);
      // Nothing was deleted: so there are no gaps, and each message is of a version of its own from the ninth on.
      assert.deepEqual(
        seqs,
        seqs.map((_, at) => seqs[0] + at),
      );
      assert.deepEqual([seqs.at(-1), seqs.length], [800 + found.version - 8, count === Infinity ? seqs.at(-1) : 250]);
    }
    assert.ok(performance.now() - began < 20_000);
    assert.ok(sent.length < 250, `${sent.length} requests`);
  } finally {
    isOver = true;
    await writing;
  }
});

withServer("what is deleted while many messages are read is not in them", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const { messages, items } = open({ owner });
  for (let n = 0; n < 3; n += 1)
    await messages.add(
      "trip",
      Array.from({ length: 100 }, (_, m) => ({ ...user("old"), id: `m-${n * 100 + m}` })),
    );
  // One is deleted and one added after the first page was read: as many as before, but others.
  const act = async () => {
    await items.delete("trip", "m-250");
    await messages.add("trip", user("new"));
  };
  const isPage = ({ method }) => method === "GET";
  const found = await open({ owner, fetch: interrupted(isPage, act) }).messages.last("trip", Infinity);
  assert.deepEqual([found.messages.length, found.version], [300, 5]);
  assert.ok(found.messages.every(({ id }) => id !== "m-250"));
  assert.equal(found.messages.at(-1).content, "new");
  // What is only added is read on: no page is read twice.
  const sent = [];
  const adding = interrupted(isPage, () => messages.add("trip", user("newer")));
  const more = await open({ owner, fetch: (...call) => (sent.push(`${call[0]}`), adding(...call)) }).messages.last("trip", Infinity);
  assert.deepEqual([more.messages.length, more.messages.at(-1).content, more.version], [301, "newer", 6]);
  assert.deepEqual(new Set(sent).size, sent.length);
  assert.equal(sent.length, 5);
});

withServer("a write on condition of version 0 is done where there is nothing", async () => {
  const store = open();
  const { version } = await store.messages.last("trip", 9);
  assert.equal((await store.messages.add("trip", user("a"), { ifMatch: version })).version, 1);
  const taken = { name: "PreconditionFailedError", code: "version_mismatch", version: 1 };
  await assert.rejects(store.messages.add("trip", user("b"), { ifMatch: 0 }), taken);
  await assert.rejects(store.messages.replace("trip", 0, [user("b")], { ifMatch: 0 }), taken);
  await assert.rejects(store.conversations.update("trip", { title: "x" }, { ifMatch: 0 }), taken);
  await assert.rejects(store.conversations.delete("trip", { ifMatch: 0 }), taken);
  await assert.rejects(store.conversations.delete("none", { ifMatch: 0 }), NotFoundError);
  const records = store.records("trip");
  for (const key of ["plain", "a b?"]) {
    const { revision } = await records.put(key, "first", { ifMatch: 0 });
    const there = { name: "PreconditionFailedError", code: "revision_mismatch", revision };
    await assert.rejects(records.put(key, "second", { ifMatch: 0 }), there);
    await assert.rejects(records.putAll([{ key, value: "second", ifMatch: 0 }]), there);
    await assert.rejects(
      records.putAll([
        { key: "other", value: "x" },
        { key, value: "second", ifMatch: 0 },
      ]),
      there,
    );
    await assert.rejects(records.delete(key, { ifMatch: 0 }), there);
    await assert.rejects(records.batch([{ key, delete: true, if_match: 0 }]), there);
    assert.equal((await records.get(key)).text(), "first");
    assert.equal(await records.delete(key, { ifMatch: revision }), true);
    assert.equal(await records.delete(key, { ifMatch: 0 }), false);
  }
});

withServer("items", async () => {
  const { items, conversations } = open();
  await conversations.create({ id: "trip" });
  const call = { type: "function_call", call_id: "call-1", name: "weather", arguments: "{}" };
  const added = await items.add("trip", [call, { type: "function_call_output", call_id: "call-1", output: "19 °C" }]);
  assert.deepEqual(
    added.data.map(({ type, status }) => [type, status]),
    [
      ["function_call", "completed"],
      ["function_call_output", "completed"],
    ],
  );
  const page = await items.list("trip", { limit: 1 });
  assert.deepEqual([page.data[0].output, page.version, page.has_more], ["19 °C", 2, true]);
  assert.equal(await items.list("trip", {}, { ifNoneMatch: 2 }), null);
  assert.deepEqual(
    (await gather(items.iterate("trip", { limit: 1, order: "asc" }))).map(({ id }) => id),
    added.data.map(({ id }) => id),
  );
  const { id } = added.data[0];
  assert.equal((await items.get("trip", id)).name, "weather");
  assert.equal(await items.get("trip", id, { ifNoneMatch: 2 }), null);
  assert.equal((await items.delete("trip", id, { ifMatch: 2 })).message_count, 1);
  await assert.rejects(items.get("trip", id), NotFoundError);
});

for (const scope of ["trip", undefined]) {
  withServer(`records of ${scope ? "a conversation" : "the owner"}`, async () => {
    const records = open().records(scope);
    assert.equal(await records.get("a"), undefined);
    assert.equal(await records.delete("a"), false);
    assert.deepEqual((await records.list()).data, []);
    const put = await records.put("a/ü", "text\u0000", { ifNoneMatch: "*" });
    assert.deepEqual([put.key, put.size, put.content_type], ["a/ü", 5, "text/plain; charset=utf-8"]);
    const found = await records.get("a/ü");
    assert.deepEqual([found.text(), found.revision, found.contentType], ["text\u0000", put.revision, put.content_type]);
    assert.equal(await records.get("a/ü", { ifNoneMatch: put.revision }), null);
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    const second = await records.put("a/ü", bytes, { ifMatch: put.revision, contentType: "image/png" });
    assert.ok(second.revision > put.revision);
    assert.deepEqual((await records.get("a/ü", { ifNoneMatch: put.revision })).bytes, bytes);
    const late = { code: "revision_mismatch", revision: second.revision };
    await assert.rejects(records.put("a/ü", "late", { ifMatch: put.revision }), late);
    await assert.rejects(records.put("a/ü", "late", { ifNoneMatch: "*" }), late);
    await assert.rejects(records.delete("a/ü", { ifMatch: put.revision }), late);
    await assert.rejects(records.put("none", "x", { ifMatch: "*" }), { code: "revision_mismatch", revision: 0 });

    const { data } = await records.batch([
      { key: "b?", value: "{}", content_type: "application/json" },
      { key: "c", base64: "AP8=" },
      { key: "none", delete: true },
    ]);
    assert.equal(data[0].revision, data[1].revision);
    assert.deepEqual([data[0].content_type, data[1].size, data[2].deleted], ["application/json", 2, 0]);
    assert.deepEqual((await records.get("b?")).json(), {});
    await assert.rejects(
      records.batch([
        { key: "d", value: "" },
        { key: "c", delete: true, if_match: 1e9 },
      ]),
      { code: "revision_mismatch", param: "records[1]" },
    );
    assert.deepEqual(
      (await gather(records.iterate({ limit: 1 }))).map(({ key, size }) => [key, size]),
      [
        ["a/ü", 60_000],
        ["b?", 2],
        ["c", 2],
      ],
    );
    assert.deepEqual(
      (await gather(records.iterate({ order: "desc", after: "c", values: true, limit: 1 }))).map(({ key }) => key),
      ["b?", "a/ü"],
    );
    assert.deepEqual(
      (await records.list({ prefix: ["a/", "b"], key: ["c", "d"], limit: 2 })).data.map(({ key }) => key),
      ["a/ü", "b?"],
    );
    const all = await records.getAll(["c", "missing"], ["a/"]);
    assert.deepEqual([...all.keys()].sort(), ["a/ü", "c"]);
    assert.deepEqual([all.get("a/ü").bytes, all.get("c").bytes], [bytes, new Uint8Array([0, 255])]);

    assert.equal(await records.delete("c", { ifMatch: data[1].revision }), true);
    assert.equal(await records.delete("b?"), true);
    assert.equal(await records.deleteAll("a/"), 1);
    assert.equal(await records.deleteAll(""), 0);
  });
}

withServer("records of any size and number", async () => {
  const records = open().records("trip");
  const large = JSON.stringify(Array(160_000).fill({ "a key": "ü\n😀" }));
  const many = Array.from({ length: 230 }, (_, n) => ({ key: `many/${String(n).padStart(3, "0")}`, value: `${n}` }));
  await records.putAll([...many, { key: "large", value: large }, { key: "last", value: "" }]);
  const all = await records.getAll(["large", "last"], ["many/"]);
  assert.equal(all.size, 232);
  assert.equal(all.get("large").text(), large);
  assert.deepEqual(
    many.map(({ key }) => all.get(key).text()),
    many.map(({ value }) => value),
  );
  await assert.rejects(records.put("too large", "x".repeat((4 << 20) + 1)), { name: "TooLargeError" });
  await assert.rejects(records.put("too-large", "x".repeat((4 << 20) + 1)), { name: "TooLargeError" });
});

withServer("records in one commit with messages", async () => {
  const store = open();
  const record = { key: "state", value: "1" };
  const { version, records } = await store.messages.add("trip", [user("a")], { records: [record], ifNoneMatch: "*" });
  assert.deepEqual([version, records.length, records[0].key], [1, 1, "state"]);
  const { revision } = records[0];
  const refused = [{ ...record, if_none_match: "*" }];
  await assert.rejects(store.messages.add("trip", [user("b")], { records: refused }), {
    code: "revision_mismatch",
    param: "records[0]",
    revision,
  });
  await assert.rejects(store.messages.replace("trip", 0, [], { records: refused, ifMatch: 1 }), { code: "revision_mismatch" });
  await assert.rejects(store.messages.add("trip", [user("b")], { records: [{ key: "state", value: "2" }], ifMatch: 7 }), {
    code: "version_mismatch",
  });
  assert.equal((await store.records("trip").get("state")).text(), "1");
  const replaced = await store.messages.replace("trip", 1, [user("c")], {
    records: [{ key: "state", delete: true, if_match: revision }],
    ifMatch: 1,
  });
  assert.deepEqual(replaced.records, [{ object: "record.deletion", key: "state", deleted: 1 }]);
  assert.deepEqual(
    (await store.messages.last("trip", 9)).messages.map(({ content }) => content),
    ["a", "c"],
  );
});

withServer("a change of records whose answer is lost is done once", async () => {
  let sent = 0;
  const records = open({ fetch: losing(() => (sent += 1) % 2 === 1) }).records("trip");
  const { revision } = await records.put("a", "1", { ifNoneMatch: "*" });
  await records.put("a", "2", { ifMatch: revision });
  const found = await records.get("a");
  assert.equal(found.text(), "2");
  await records.batch([{ key: "b", value: "1", if_none_match: "*" }]);
  assert.equal(await records.delete("a", { ifMatch: found.revision }), true);
  assert.equal(await records.deleteAll("b"), 1);
  assert.deepEqual((await records.list()).data, []);
});
