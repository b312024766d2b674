// The client against servers that fail on purpose.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { mock, test } from "node:test";

import { AwsV4Signer } from "aws4fetch";
import {
  ApiError,
  AuthenticationError,
  BadRequestError,
  CONTRACT_VERSION,
  ConflictError,
  ConnectionError,
  ConversationStore,
  ConversationStoreError,
  IncompatibleVersionError,
  NotFoundError,
  PreconditionFailedError,
  RateLimitError,
  ServerError,
  TooLargeError,
} from "conversation-store";
import { sigv4 } from "conversation-store/aws";

import { serve } from "./support.js";

const hello = { role: "user", content: "Hello!" };
const added = { json: { object: "list", version: 1, data: [] } };
const unavailable = { status: 503, json: { error: { code: "unavailable", message: "Try again shortly." } } };

/** A client of a server that answers like this. */
async function against(respond, options) {
  const server = await serve(respond);
  const store = new ConversationStore({ baseUrl: server.baseUrl, checkVersion: false, ...options });
  return { store, ...server };
}

test("a write is sent again under its key until it is answered", async () => {
  const answers = [undefined, unavailable, { status: 502, body: "<html>" }, { status: 504, body: "" }, added, added];
  const { store, asked } = await against((_, count) => answers[count - 1]);
  await store.messages.add("trip", hello);
  assert.equal(asked.length, 5);
  assert.equal(new Set(asked.map(({ headers }) => headers["idempotency-key"])).size, 1);
  assert.match(asked[0].headers["idempotency-key"], /^[0-9a-f-]{36}$/);
  assert.deepEqual(new Set(asked.map(({ body }) => body)), new Set([JSON.stringify({ messages: [hello] })]));
  await store.messages.add("trip", hello);
  assert.notEqual(asked[5].headers["idempotency-key"], asked[0].headers["idempotency-key"]);
});

test("every kind of write has a key, reads and what is final by itself have none", async () => {
  const { store, asked } = await against(() => ({ json: { data: [{}], deleted: 1 }, headers: { etag: '"1"' } }));
  await store.conversations.create();
  await store.conversations.update("trip", { title: null });
  await store.messages.replace("trip", 0, []);
  await store.items.add("trip", []);
  await store.records("trip").put("a", "1");
  await store.records().batch([]);
  await store.records().delete("a");
  await store.records().delete("?");
  await store.records().deleteAll("");
  const writes = asked.length;
  await store.messages.list("trip");
  await store.records().get("a");
  await store.conversations.delete("trip");
  assert.deepEqual(
    asked.map(({ headers }) => headers["idempotency-key"] !== undefined),
    asked.map((_, at) => at < writes),
  );
  await store.messages.add("trip", hello, { idempotencyKey: "mine" });
  await store.records().put("a", "1", { idempotencyKey: null });
  assert.deepEqual(
    asked.slice(-2).map(({ headers }) => headers["idempotency-key"]),
    ["mine", undefined],
  );
});

test("what must not be sent again is not", async () => {
  const never = { ...unavailable, headers: { "x-should-retry": "false" } };
  const { store, asked } = await against((_, count) => (count === 1 ? never : { status: 500, json: {} }));
  await assert.rejects(store.messages.add("trip", hello), (error) => error instanceof ServerError && error.code === "unavailable");
  await assert.rejects(store.messages.add("trip", hello), ServerError);
  assert.equal(asked.length, 2);
});

test("a pause is as long as the server asks for, but not endless", async () => {
  const pauses = ["1", "120"];
  const { store, asked } = await against((_, count) =>
    pauses[count - 1] ? { ...unavailable, headers: { "retry-after": pauses[count - 1] } } : added,
  );
  const began = performance.now();
  await assert.rejects(store.messages.list("trip"), ServerError);
  const took = performance.now() - began;
  assert.ok(took >= 990 && took < 5000, `${took}`);
  assert.equal(asked.length, 2);
});

test("retries end", async () => {
  const { store, asked } = await against(() => unavailable, { retries: 2 });
  await assert.rejects(store.messages.list("trip"), ServerError);
  assert.equal(asked.length, 3);
  const { store: deaf, asked: lost } = await against(() => undefined, { retries: 1 });
  await assert.rejects(deaf.messages.list("trip"), (error) => error instanceof ConnectionError && error.cause instanceof TypeError);
  assert.equal(lost.length, 2);
});

test("an attempt that is not answered in time is given up, and so is what the caller gives up", async () => {
  const silent = createServer(() => undefined);
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const baseUrl = `http://127.0.0.1:${silent.address().port}`;
  const store = new ConversationStore({ baseUrl, checkVersion: false, retries: 1, timeout: 50 });
  await assert.rejects(store.messages.list("trip"), (error) => error instanceof ConnectionError && error.cause.name === "TimeoutError");
  const patient = new ConversationStore({ baseUrl, checkVersion: false });
  const signal = AbortSignal.timeout(50);
  await assert.rejects(patient.messages.list("trip", {}, { signal }), (error) => error === signal.reason);
  const { store: busy, asked } = await against(() => ({ ...unavailable, headers: { "retry-after": "20" } }));
  const soon = AbortSignal.timeout(100);
  await assert.rejects(busy.messages.list("trip", {}, { signal: soon }), (error) => error === soon.reason);
  assert.equal(asked.length, 1);
  silent.close();
});

test("errors are typed, and have what the server says", async () => {
  const kinds = {
    400: BadRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    405: BadRequestError,
    409: ConflictError,
    412: PreconditionFailedError,
    413: TooLargeError,
    415: BadRequestError,
    429: RateLimitError,
    500: ServerError,
    503: ServerError,
  };
  for (const [status, Kind] of Object.entries(kinds)) {
    const problem = { message: "No.", type: "x", param: "records[1]", code: "revision_mismatch", version: 7, revision: 3 };
    const { store } = await against(() => ({ status: Number(status), json: { error: problem }, headers: { "x-request-id": "r-1" } }), {
      retries: 0,
    });
    await assert.rejects(store.conversations.get("trip"), (error) => {
      assert.ok(error instanceof Kind && error instanceof ApiError && error instanceof ConversationStoreError);
      const { name, message, status: found, code, param, version, revision, requestId } = error;
      assert.deepEqual(
        { name, message, status: found, code, param, version, revision, requestId },
        {
          name: Kind.name,
          message: `${status} revision_mismatch: No.`,
          status: Number(status),
          code: "revision_mismatch",
          param: "records[1]",
          version: 7,
          revision: 3,
          requestId: "r-1",
        },
      );
      return true;
    });
  }
  const gateway = await against(() => ({ status: 401, json: { message: "Unauthorized" } }));
  await assert.rejects(gateway.store.conversations.get("trip"), {
    name: "AuthenticationError",
    message: "401: Unauthorized",
    code: undefined,
  });
  const proxy = await against(() => ({ status: 400, body: "<h1>Bad</h1>" }));
  await assert.rejects(proxy.store.conversations.get("trip"), { message: "400: <h1>Bad</h1>" });
  const mute = await against(() => ({ status: 200, body: "hello" }));
  await assert.rejects(
    mute.store.conversations.get("trip"),
    (error) => error instanceof ConversationStoreError && error.cause instanceof SyntaxError,
  );
});

test("mistakes of the caller are errors at once", async () => {
  const { store, asked } = await against(() => added);
  await assert.rejects(store.conversations.get(".."), /only dots/);
  await assert.rejects(store.conversations.get(""), /must not be empty/);
  assert.throws(() => new ConversationStore({ baseUrl: "localhost" }), /baseUrl must be a URL/);
  const wrong = new ConversationStore({ baseUrl: "http://127.0.0.1:1", owner: "a\nb", checkVersion: false });
  await assert.rejects(wrong.conversations.get("trip"), TypeError);
  assert.equal(asked.length, 0);
});

test("the caller is named by a token, a function for one, an owner, or a signature", async () => {
  const { asked, baseUrl } = await serve(() => added);
  const call = async (options) => {
    await new ConversationStore({ baseUrl: `${baseUrl}/v1/`, checkVersion: false, ...options }).messages
      .list("trip", {}, {})
      .catch(() => undefined);
    return asked.at(-1).headers;
  };
  assert.equal((await call({})).authorization, undefined);
  assert.equal((await call({ token: "t-1" })).authorization, "Bearer t-1");
  assert.equal((await call({ token: async () => "t-2" })).authorization, "Bearer t-2");
  assert.equal((await call({ sign: async ({ url }) => ({ "x-signed": url.pathname }) }))["x-signed"], "/v1/conversations/trip/messages");
  const { "x-owner-id": owner, "x-tenant": tenant } = await call({ owner: "ann", headers: { "x-tenant": "t" } });
  assert.deepEqual([owner, tenant], ["ann", "t"]);
});

test("a token is asked for again with each attempt", async () => {
  let tokens = 0;
  const { store, asked } = await against((_, count) => (count === 1 ? unavailable : added), { token: () => `t-${(tokens += 1)}` });
  await store.messages.add("trip", hello);
  assert.deepEqual(
    asked.map(({ headers }) => headers.authorization),
    ["Bearer t-1", "Bearer t-2"],
  );
});

test("a signature is the one that another implementation makes", async () => {
  const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret", sessionToken: "session" };
  const { store, asked, baseUrl } = await against(() => ({ ...added, headers: { etag: '"1"' } }), {
    sign: sigv4({ region: "eu-west-1", credentials }),
  });
  await store.messages.add("trip@home", hello);
  await store.conversations.list({ limit: 5, metadata: { "a b": "ü/+ ~*" } }).catch(() => undefined);
  await store.records("trip").put("a:b/c d", new Uint8Array([0, 255]));
  for (const { method, url, headers, body } of asked) {
    const names = /SignedHeaders=([^,]+)/.exec(headers.authorization)[1].split(";");
    const signed = Object.fromEntries(names.filter((name) => name !== "host").map((name) => [name, headers[name]]));
    const signer = new AwsV4Signer({
      ...credentials,
      region: "eu-west-1",
      service: "execute-api",
      method,
      url: baseUrl + url,
      headers: signed,
      allHeaders: true,
      datetime: headers["x-amz-date"],
      body: method === "GET" || headers["content-type"] !== "application/json" ? undefined : body,
    });
    assert.equal(headers.authorization, (await signer.sign()).headers.get("authorization"), `${method} ${url}`);
  }
  assert.equal(asked.length, 3);
});

test("the server's version is compared with the first answer that has it", async () => {
  const [major, minor] = CONTRACT_VERSION.split(".").map(Number);
  const warn = mock.method(console, "warn", () => undefined);
  const answers = (versions) => (_, count) => ({
    ...added,
    headers: { etag: '"1"', ...(versions[count - 1] && { "x-contract-version": versions[count - 1] }) },
  });
  for (const fine of [undefined, CONTRACT_VERSION, `${major}.${minor}.9`, `${major}.${minor + 1}.0`]) {
    const { store } = await against(answers([fine]), { checkVersion: true });
    await store.messages.list("trip");
  }
  assert.equal(warn.mock.callCount(), 0);
  const { store: newer } = await against(answers(["1.2.3", "2.0.0"].map((version) => `7${version}`)), { checkVersion: true });
  for (const server of ["71.2.3", "72.0.0"]) {
    await assert.rejects(newer.messages.list("trip"), (error) => {
      assert.ok(error instanceof IncompatibleVersionError);
      assert.deepEqual([error.server, error.client], [server, CONTRACT_VERSION]);
      return error.message.includes(server) && error.message.includes(CONTRACT_VERSION);
    });
  }
  const gone = { status: 404, json: {}, headers: { "x-contract-version": "72.0.0" } };
  await assert.rejects((await against(() => gone, { checkVersion: true })).store.messages.list("trip"), IncompatibleVersionError);
  const older = `${major}.${minor - 1}.0`;
  const { store } = await against(answers([undefined, older, older]), { checkVersion: true });
  for (let n = 0; n < 3; n += 1) await store.messages.list("trip");
  assert.equal(warn.mock.callCount(), 1);
  const [message] = warn.mock.calls[0].arguments;
  assert.ok(message.includes(older) && message.includes(CONTRACT_VERSION), message);
  warn.mock.restore();
});

test("keys that a path cannot have go through batches and lists", async () => {
  const record = { key: "", revision: 4, content_type: "text/plain", base64: "AP8=" };
  const { store, asked } = await against(() => ({ json: { data: [record], deleted: 1 }, headers: { etag: '"1"' } }));
  const records = store.records("trip");
  const bytes = new Uint8Array([0, 255]);
  for (const key of ["what?", "a/../b", "./a", "a//b", "/a", "a/", "50%", "a b", "a\\b"]) {
    await records.put(key, bytes, { ifNoneMatch: "*" });
    const found = await records.get(key);
    assert.deepEqual([found.bytes, found.revision], [bytes, 4]);
    assert.equal(await records.get(key, { ifNoneMatch: 4 }), null);
    await records.delete(key);
    const [put, get, , deletion] = asked.splice(0);
    assert.deepEqual([put.method, put.url], ["POST", "/v1/conversations/trip/records"]);
    const change = { key, base64: "AP8=", content_type: "application/octet-stream", if_none_match: "*" };
    assert.deepEqual(JSON.parse(put.body), { records: [change] });
    assert.deepEqual(
      [...new URL(get.url, "http://x").searchParams],
      [
        ["key", key],
        ["values", "true"],
      ],
    );
    assert.deepEqual(JSON.parse(deletion.body), { records: [{ key, delete: true }] });
  }
  await records.put("a:b/ü.txt", "x");
  assert.deepEqual([asked[0].method, asked[0].url], ["PUT", "/v1/conversations/trip/records/a%3Ab/%C3%BC.txt"]);
});

test("many keys and many records are several requests, none too long", async () => {
  const { store, asked } = await against(({ url, body }) => {
    const keys = new URL(url, "http://x").searchParams.getAll("key");
    return {
      json: { data: body ? [] : keys.map((key) => ({ key, revision: 1, content_type: "text/plain", value: key })), has_more: false },
    };
  });
  const keys = Array.from({ length: 500 }, (_, n) => `key/${n}/ü${"x".repeat(20)}`);
  const found = await store.records().getAll(keys, ["p/", "q/"]);
  assert.deepEqual([...found.keys()].sort(), [...keys].sort());
  assert.ok(asked.length > 3 && asked.every(({ url }) => url.length < 6_100));
  assert.equal((await store.records().getAll([])).size, 0);
  asked.length = 0;
  await store.records().putAll(keys.map((key) => ({ key, value: "x" })));
  assert.deepEqual(
    asked.map(({ body }) => JSON.parse(body).records.length),
    [100, 100, 100, 100, 100],
  );
  asked.length = 0;
  await store.records().putAll([
    { key: "a", value: "1" },
    { key: "b", value: "x".repeat(3 << 20) },
    { key: "c", value: "3" },
  ]);
  assert.deepEqual(
    asked.map(({ method, url }) => `${method} ${url}`),
    ["PUT /v1/records/a", "PUT /v1/records/b", "PUT /v1/records/c"],
  );
});

test("what is no id is refused before it is sent: it could name other data", async () => {
  const { store, asked } = await against(() => added);
  const { conversations, messages, items } = store;
  const wrong = ["trip/items/m1", "trip%2Fitems%2Fm1", "trip?x", "trip#x", "a b", "a\\b", "", ".", "...", "ü", "a\n", "x".repeat(129)];
  for (const id of [...wrong, 7, null, undefined, ["trip/items/m1"], { toString: () => "trip/items/m1" }]) {
    const calls = [
      () => conversations.get(id),
      () => conversations.update(id, { title: "x" }),
      () => conversations.delete(id),
      () => messages.add(id, hello),
      () => messages.replace(id, 0, []),
      () => messages.list(id),
      () => messages.last(id, 1),
      () => items.add(id, []),
      () => items.list(id),
      () => items.get(id, "m1"),
      async () => id !== undefined && store.records(id),
    ];
    if (typeof id !== "string" || id.length !== 129) {
      calls.push(
        () => items.get("trip", id),
        () => items.delete("trip", id),
      );
    }
    for (const call of calls.slice(0, id === undefined ? 10 : undefined)) {
      await assert.rejects(call, (error) => error instanceof TypeError && /^an id must/.test(error.message), `${call} ${id}`);
    }
  }
  assert.equal(asked.length, 0);
  await items.get("!$()*+,-.:;=@[]^_|~Az09", "x".repeat(140)).catch(() => undefined);
  await assert.rejects(items.get("trip", "x".repeat(141)), TypeError);
  assert.deepEqual(
    asked.map(({ url }) => url),
    [`/v1/conversations/${encodeURIComponent("!$()*+,-.:;=@[]^_|~Az09")}/items/${"x".repeat(140)}`],
  );
});

test("version 0 is that of what is not there: a write on condition of it is none without a condition", async () => {
  const { store, asked } = await against(() => ({ json: { data: [{}], deleted: 1 }, headers: { etag: '"1"' } }));
  const records = store.records("trip");
  await store.messages.add("trip", hello, { ifMatch: 0, records: [{ key: "a", delete: true, if_match: 0 }] });
  await store.messages.replace("trip", 0, [hello], { ifMatch: 0 });
  await store.conversations.update("trip", { title: "x" }, { ifMatch: 0 });
  await store.conversations.delete("trip", { ifMatch: 0 });
  await store.items.delete("trip", "m1", { ifMatch: 0 });
  await records.put("a", "1", { ifMatch: 0 });
  for (const { headers } of asked) assert.deepEqual([headers["if-match"], headers["if-none-match"]], [undefined, "*"]);
  const inBody = asked.splice(0).slice(0, 1);
  await records.put("a b?", "1", { ifMatch: 0 });
  await records.delete("a", { ifMatch: 0 });
  await records.delete("a b?", { ifMatch: 0 });
  await records.batch([{ key: "a", value: "1", if_match: 0 }]);
  const two = [
    { key: "a", value: "1", ifMatch: 0 },
    { key: "b", value: "2", ifMatch: 0 },
  ];
  await records.putAll(two);
  for (const { body } of [...inBody, ...asked]) {
    for (const { if_match, if_none_match } of JSON.parse(body).records) assert.deepEqual([if_match, if_none_match], [undefined, "*"]);
  }
  await store.conversations.create({ records: [{ key: "a", value: "1", if_match: 0 }] });
  assert.equal(JSON.parse(asked.at(-1).body).records[0].if_none_match, "*");
  await records.put("a", "1", { ifMatch: 3 });
  assert.equal(asked.at(-1).headers["if-match"], '"3"');
});

test("of many records each request has a key that follows from the caller's", async () => {
  const { store, asked } = await against(() => ({ json: { data: [] } }));
  const many = Array.from({ length: 250 }, (_, n) => ({ key: `key/${n}`, value: "x" }));
  const keys = () => asked.splice(0).map(({ headers }) => headers["idempotency-key"]);
  await store.records().putAll(many, { idempotencyKey: "mine" });
  const first = keys();
  await store.records().putAll(many, { idempotencyKey: "mine" });
  assert.deepEqual(keys(), first);
  assert.deepEqual([first[0], new Set(first).size, first.every(({ length }) => length <= 64)], ["mine", 3, true]);
  await store.records().putAll(many, { idempotencyKey: null });
  assert.deepEqual(keys(), [undefined, undefined, undefined]);
  await store.records().putAll(many);
  assert.equal(new Set(keys()).size, 3);
});

test("batches are counted in the bytes that they take", async () => {
  const { store, asked } = await against(() => ({ json: { data: [] } }));
  const values = ["\u0001".repeat(400_000), "\ud83d".repeat(400_000), '"'.repeat(700_000), "ü".repeat(1_000_000), "x".repeat(2_000_000)];
  await store.records().putAll(values.flatMap((value, n) => [1, 2].map((m) => ({ key: `${n}-${m}`, value }))));
  for (const { body } of asked) {
    assert.ok(Buffer.byteLength(body) < 4 << 20, `${Buffer.byteLength(body)} bytes`);
    assert.ok(JSON.stringify(body).length < 6_000_000, `${JSON.stringify(body).length} characters for Lambda`);
  }
  asked.length = 0;
  const small = Array.from({ length: 90 }, (_, n) => ({ key: `${n}`, value: new Uint8Array(20_000) }));
  await store.records().putAll(small);
  assert.equal(asked.length, 1);
});

test("headers of the caller have no case, and do not stand beside the client's", async () => {
  const headers = { "X-Owner-Id": "bob", Authorization: "Basic z", Accept: "text/x", "Content-Type": "text/plain", "X-Tenant": "t" };
  const { store, asked } = await against(() => added, { owner: "ann", token: "t-1", headers });
  await store.messages.add("trip", hello);
  const { "x-owner-id": owner, authorization, accept, "content-type": type, "x-tenant": tenant } = asked[0].headers;
  assert.deepEqual([owner, authorization, accept, type, tenant], ["ann", "Bearer t-1", "text/x", "application/json", "t"]);
  const signed = await against(() => added, { headers, sign: async () => ({ Authorization: "AWS4 x" }) });
  await signed.store.messages.add("trip", hello);
  assert.equal(signed.asked[0].headers.authorization, "AWS4 x");
});

test("an export is read page by page, and its lines stay as they are", async () => {
  const lines = [
    '{"record":"owner","n":12345678901234567890}',
    '{"record":"message","body":{"content":"a\u2028b\u0085c"}}',
    '{"record":"record"}',
  ];
  const type = { "content-type": "application/x-ndjson" };
  const next = { ...type, link: '<?after=eyJtIjoi-_1>; rel="next"' };
  const answers = [{ body: `${lines[0]}\n${lines[1]}\n`, headers: next }, unavailable, { body: `${lines[2]}\n`, headers: type }];
  const { store, asked } = await against((_, count) => answers[count - 1]);
  const pages = [];
  for await (const page of store.exportOwner()) pages.push(page);
  assert.deepEqual(pages, [
    { lines: lines.slice(0, 2), after: "eyJtIjoi-_1" },
    { lines: lines.slice(2), after: null },
  ]);
  const after = "/v1/owner/export?after=eyJtIjoi-_1";
  assert.deepEqual(
    asked.map(({ method, url }) => `${method} ${url}`),
    ["GET /v1/owner/export", `GET ${after}`, `GET ${after}`],
  );
  const { store: other, asked: rest } = await against(() => ({ body: "", headers: type }));
  for await (const page of other.exportOwner({ after: "eyJtIjoi-_1" })) assert.deepEqual(page, { lines: [], after: null });
  assert.deepEqual(
    rest.map(({ url }) => url),
    [after],
  );
});

test("a deletion of many, and of all, is sent again; without saying so it only counts", async () => {
  const underway = { status: 503, json: { error: { code: "erasure_underway" } } };
  const { store, asked } = await against((_, count) => (count % 2 ? (count % 4 === 1 ? undefined : underway) : { json: { deleted: 1 } }));
  await store.deleteConversations({ metadata: { "a b": "c&d" }, forked_from: "trip", archived: "any" });
  await store.deleteConversations({ archived: true }, { dryRun: false });
  await store.deleteOwner();
  const expected = [
    "/v1/conversations?metadata%5Ba%20b%5D=c%26d&forked_from=trip&archived=any&dry_run=true",
    "/v1/conversations?archived=true&dry_run=false",
    "/v1/owner",
  ];
  assert.deepEqual(
    asked.map(({ method, url }) => `${method} ${url}`),
    expected.flatMap((url) => [`DELETE ${url}`, `DELETE ${url}`]),
  );
  assert.ok(asked.every(({ headers }) => headers["idempotency-key"] === undefined));
});

test("errors of what is in front of the store keep their message", async () => {
  const bodies = {
    '{"error":"Forbidden"}': "403: Forbidden",
    '{"Message":"User is not authorized"}': "403: User is not authorized",
    '{"message":"Missing Authentication Token"}': "403: Missing Authentication Token",
    '{"error":"invalid_token","error_description":"It has expired"}': "403: It has expired",
    '{"error":null,"message":"No."}': "403: No.",
    '{"error":{"code":"invalid_owner","message":"No."}}': "403 invalid_owner: No.",
    '{"message":null}': "403: the answer has no message",
    null: "403: the answer has no message",
    "": "403: ",
  };
  for (const [body, message] of Object.entries(bodies)) {
    const { store } = await against(() => ({ status: 403, body }));
    await assert.rejects(store.conversations.get("trip"), { name: "AuthenticationError", message });
  }
});
