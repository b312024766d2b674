import { pathOf, transportOf } from "./client.js";
import type { ConversationStore } from "./client.js";
import { inflate } from "./deflate.js";
import { digest } from "./digest.js";
import { ConversationStoreError, PreconditionFailedError } from "./errors.js";
import type { Transport } from "./http.js";
import { elementsOf } from "./json.js";
import { pauseAfter, readLast } from "./last.js";
import { byteLength } from "./records.js";
import type { NewRecord, StoredRecord } from "./records.js";
import type { AddedMessages, Message, RecordChange, RecordResult, WriteOptions } from "./types.js";

// Messages of a conversation, of which any number and size are one commit: for adapters.
//
// What is too much or too large for the messages of one commit is stored before it, in records `batch/{digest}/{part}`. The commit
// then adds one message of type `record_batch` in its place: nobody sees a part of it. The Python client has the same format.

/** The type of a message that stands for others. */
export const BATCH = "record_batch";
const BATCHES = "batch/";
/** What a commit adds at most; sizes are in bytes of JSON as a JSON string, which is how Lambda counts. */
const MOST_MESSAGES = 100;
const LARGEST_MESSAGE = 250_000;
const LARGEST_COMMIT = 2_900_000;
const LARGEST_PART = 500_000;
/** Seconds after which the records of a batch without a message are no longer those of a commit that is under way. */
const ORPHANED = 3600;
/** A position after which there is never anything to replace. */
const NOWHERE = Number.MAX_SAFE_INTEGER;

/** A message: its JSON as it is stored, what that says, the stored message that it is, or is in, and its place in that. */
export interface Entry {
  text: string;
  message: Record<string, any>;
  stored: Message;
  place: number;
}

/** A change of the end of a history. */
export interface Change extends WriteOptions {
  /** The newest entries, which go. */
  removed?: Entry[];
  /** The JSON of the messages that come, each with an id. */
  added: string[];
  /** The position after which all goes, where that is not told by `removed`. */
  after?: number;
  /** The id of the message that stands for those that come, if there must or may be one; by default that of the first of them. */
  batch?: { id: string; isRequired: boolean };
  records?: RecordChange[];
}

/** What a change was answered. */
export interface Written {
  version: number;
  /** The messages that came; undefined if they are not the end of the history, or it has to be read. */
  entries: Entry[] | undefined;
  /** Undefined if all messages were stored before, by another request: then no record was written. */
  records: RecordResult[] | undefined;
}

export class History {
  readonly #store: ConversationStore;
  readonly #transport: Transport;
  readonly #path: string;

  /** The first messages create the conversation. */
  constructor(
    store: ConversationStore,
    readonly id: string,
  ) {
    this.#store = store;
    this.#transport = transportOf(store);
    this.#path = pathOf(id);
  }

  /** The newest `count` messages, oldest first, and the version of the conversation that has them: 0 if there is none. */
  async newest(count: number): Promise<{ entries: Entry[]; version: number }> {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const { messages, texts, version } = await readLast(this.#transport, this.#path, count);
      const keys = messages.flatMap(partsOf);
      const parts = await this.#store.records(this.id).getAll(keys);
      // Otherwise a batch was removed after its message was read.
      if (keys.some((key) => !parts.has(key))) continue;
      const sources = texts();
      const entries = (await Promise.all(messages.map((message, at) => entriesOf(message, sources[at]!, parts)))).flat();
      return { entries: entries.slice(count === Infinity ? 0 : Math.max(entries.length - count, 0)), version };
    }
    throw new ConversationStoreError(`Records of the conversation ${this.id} are gone that its messages stand for: those under ${BATCHES}`);
  }

  /** Changes the end of the history in one commit. `ifMatch` is to be given with `removed`. */
  async write({ removed = [], added, after, batch, records, ...options }: Change): Promise<Written> {
    const [first] = removed;
    const kept = first && first.place > 0 ? [JSON.stringify(batchOf(first.stored, first.place))] : [];
    const { texts, parts } = await pack(added, MOST_MESSAGES - kept.length, batch);
    const where = parts.length > 0 ? await this.#storeParts(parts, options) : options;
    const keys = parts.map(({ key }) => key);
    const place = after ?? (first && first.stored.seq - 1);
    const answer = await this.#send(place, [...kept, ...texts], { ...where, records }).catch(async (error: unknown) => {
      // Who has a key may repeat the same request, which then has the same parts; no one else has these.
      if (error instanceof PreconditionFailedError && options.idempotencyKey === undefined) await this.#drop(keys);
      throw error;
    });
    const gone = removed.flatMap(({ stored, place }) => (place === 0 ? partsOf(stored) : []));
    await this.#drop(gone.filter((key) => !keys.includes(key)));
    const { ifMatch = 0 } = where;
    // The answer to a request that was sent again has the present version, which may have changes of others.
    const isEnd = answer.version === Number(ifMatch) + 1 && kept.length + parts.length === 0;
    return { version: answer.version, records: answer.records, entries: isEnd ? answer.entries : undefined };
  }

  /** Replaces all messages. */
  async overwrite(added: string[]): Promise<void> {
    const keys: string[] = [];
    const orphans: string[] = [];
    for await (const { key, updated_at } of this.#store.records(this.id).iterate({ prefix: BATCHES, limit: 1000 })) {
      (updated_at < Date.now() / 1000 - ORPHANED ? orphans : keys).push(key);
    }
    const hasBatches = keys.length + orphans.length > 0;
    for (let attempt = 0; ; attempt += 1) {
      // What is replaced has to be read only if there may be batches in it.
      const { entries, version } = hasBatches ? await this.newest(Infinity) : { entries: [], version: 0 };
      try {
        await this.write({ removed: entries, added, after: 0, ...(version > 0 && { ifMatch: version }) });
        return await this.#drop(orphans.filter((key) => !entries.some(({ stored }) => partsOf(stored).includes(key))));
      } catch (error) {
        if (!(error instanceof PreconditionFailedError)) throw error;
        await pauseAfter(attempt);
      }
    }
  }

  /** Sends a change that was done before, if it was, under a condition that does not hold otherwise: the store looks for the key first. */
  async repeat(added: string[], idempotencyKey: string): Promise<void> {
    await this.#send(NOWHERE, (await pack(added, MOST_MESSAGES)).texts, { idempotencyKey, ifNoneMatch: "*" });
  }

  /** Stores the parts of a batch; the condition for its message. */
  async #storeParts(parts: NewRecord[], options: WriteOptions): Promise<WriteOptions> {
    // Otherwise the first record would create the conversation, which then would not be new to the message.
    const isNew = options.ifNoneMatch === "*" || options.ifMatch === 0;
    const created = isNew ? await this.#store.conversations.create({ id: this.id }, { ifNoneMatch: "*" }) : undefined;
    await this.#store.records(this.id).putAll(parts);
    return created ? { ...options, ifNoneMatch: undefined, ifMatch: created.version } : options;
  }

  async #send(
    after: number | undefined,
    texts: string[],
    { records, ...options }: WriteOptions & { records?: RecordChange[] | undefined },
  ): Promise<AddedMessages & { entries: Entry[] }> {
    const more = records ? `,"records":${JSON.stringify(records)}` : "";
    const raw = { body: `{"messages":[${texts.join(",")}]${more}}`, contentType: "application/json" };
    const place = after === undefined ? ({ method: "POST" } as const) : ({ method: "PUT", query: { after } } as const);
    const { body, text } = await this.#transport.json<AddedMessages>({ ...place, path: `${this.#path}/messages`, raw, options });
    const sources = elementsOf(text, "data");
    return { ...body!, entries: body!.data.map((message, at) => entryOf(message, sources[at]!)) };
  }

  /** Deletes records of batches that no message stands for any more. If that fails, the next clearing does it: the change is done. */
  async #drop(keys: string[]): Promise<void> {
    const changes = keys.map((key) => ({ key, delete: true }) as const);
    try {
      for (let at = 0; at < changes.length; at += 100) await this.#store.records(this.id).batch(changes.slice(at, at + 100));
    } catch {
      return;
    }
  }
}

const entryOf = (stored: Message, text: string): Entry => ({ text, message: stored, stored, place: 0 });

/** What a stored message is, or stands for. */
async function entriesOf(stored: Message, text: string, parts: Map<string, StoredRecord>): Promise<Entry[]> {
  if (!isBatch(stored)) return [entryOf(stored, text)];
  const values = await Promise.all(partsOf(stored).map((key) => expand(parts.get(key)!.bytes)));
  const texts = values.flatMap((value) => elementsOf(value)).slice(0, stored["count"]);
  return texts.map((source, place) => ({ text: source, message: JSON.parse(source), stored, place }));
}

/** Does a message stand for others? What somebody else calls a `record_batch` does not. */
function isBatch({ type, digest, count, parts, ...more }: Record<string, any>): boolean {
  const isCount = (value: unknown) => Number.isInteger(value) && (value as number) > 0;
  const isOurs = Object.keys(more).every((field) => ["id", "seq", "created_at"].includes(field));
  return isOurs && type === BATCH && /^[0-9a-f]{32}$/.test(digest) && isCount(count) && isCount(parts);
}

/** The keys of the records that a stored message stands for. */
function partsOf(stored: Record<string, any>): string[] {
  if (!isBatch(stored)) return [];
  const { digest, parts } = stored;
  return Array.from({ length: parts }, (_, part) => `${BATCHES}${digest}/${String(part).padStart(4, "0")}`);
}

const batchOf = ({ id, digest, parts }: Record<string, any>, count: number) => ({ type: BATCH, id, digest, count, parts });

/** The messages, or one in their place and the records that have them. */
async function pack(added: string[], most: number, given?: Change["batch"]): Promise<{ texts: string[]; parts: NewRecord[] }> {
  const sizes = added.map((text) => byteLength(JSON.stringify(text)));
  const size = sizes.reduce((sum, one) => sum + one, 0);
  const fits = added.length <= most && size <= LARGEST_COMMIT && sizes.every((one) => one <= LARGEST_MESSAGE);
  if (fits && !(given?.isRequired && added.length > 0)) return { texts: added, parts: [] };
  const parts: string[][] = [];
  let room = 0;
  for (const [at, text] of added.entries()) {
    if (sizes[at]! > room) {
      parts.push([]);
      room = LARGEST_PART;
    }
    parts.at(-1)!.push(text);
    room -= sizes[at]!;
  }
  const id: string = given?.id ?? JSON.parse(added[0]!).id;
  const batch = batchOf({ id, digest: (await digest(id + added.join(""))).slice(0, 32), parts: parts.length }, added.length);
  const values = parts.map((part) => new TextEncoder().encode(`\0[${part.join(",")}]`));
  return { texts: [JSON.stringify(batch)], parts: partsOf(batch).map((key, at) => ({ key, value: values[at]! })) };
}

/** The value of a part, which says first whether it is compressed: Python's are, for which Node must be 20.12 or newer. */
async function expand(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const value = bytes[0] === 0 ? bytes.subarray(1) : await inflate(bytes.slice(1), "deflate-raw");
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(value);
}
