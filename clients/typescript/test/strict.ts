// What must compile where optional properties may not be undefined, unless their types say so.
import { readFile } from "node:fs/promises";

import { ConversationStore } from "conversation-store";
import type { ClientOptions, Conversation, ReadOptions, RecordChange, WriteOptions } from "conversation-store";
import { ConversationStoreSession } from "conversation-store/agents";
import { saveChat } from "conversation-store/ai";
import { sigv4 } from "conversation-store/aws";

declare const maybe: {
  text: string | undefined;
  number: number | undefined;
  signal: AbortSignal | undefined;
  key: string | null | undefined;
};
const { text, number, signal, key } = maybe;

const options: ClientOptions = {
  baseUrl: "http://127.0.0.1",
  token: text,
  owner: text,
  retries: number,
  timeout: number,
  fetch: undefined,
  headers: undefined,
  sign: undefined,
  checkVersion: undefined,
};
const store = new ConversationStore(options);
const write: WriteOptions = { ifMatch: number, ifNoneMatch: undefined, idempotencyKey: key, signal };
await store.messages.add("trip", { role: "user", content: "Hello!" }, { ...write, records: undefined });
await store.messages.list("trip", { before: number, limit: number, min_version: number, start_on: undefined }, { signal });
await store.items.list("trip", { after: text, order: undefined }, { signal });
await store.conversations.list({ after: text, forked_from: text, metadata: undefined }, { signal });
await store.conversations.list({ archived: undefined, limit: number });
await store.conversations.update("trip", { archived: true, expires_after: null });
await store.deleteConversations({ forked_from: text, archived: undefined }, { dryRun: undefined, signal });
await store.deleteOwner({ signal });
store.exportOwner({ after: text }, { signal });
await store.health({ deep: undefined, signal });
await store.records().list({ key: undefined, prefix: text, values: undefined, limit: number });
const change: RecordChange = { key: "a", value: "1", content_type: text, if_match: number };
await store.records().batch([change, { key: "b", delete: true, if_match: number }], { idempotencyKey: key, signal });
new ConversationStoreSession({ store, sessionId: text });
await saveChat(store, { chat: "chat", messages: undefined, activeStreamId: key });
sigv4({ region: "eu-west-1", credentials: { accessKeyId: "a", secretAccessKey: "b" }, service: text });

// Where it may be asked whether something has changed, the answer may be null.
export const maybeNull: Conversation | null = await store.conversations.get("trip", {}, { ifNoneMatch: number });
// @ts-expect-error
export const wrong: Conversation = await store.conversations.get("trip", {}, { ifNoneMatch: number });
declare const read: ReadOptions;
// @ts-expect-error
export const alsoWrong: Conversation = await store.conversations.get("trip", {}, read);
export const never: Conversation = await store.conversations.get("trip", {}, { ifNoneMatch: undefined, signal });

// Bytes of any kind, Node's buffers among them.
await store.records().put("file", await readFile("file"));
await store.records().putAll([{ key: "a", value: Buffer.from("x"), contentType: text, ifMatch: number }]);
await store.records().put("a", new Uint8Array(new SharedArrayBuffer(1)), { contentType: text, ifMatch: number });
