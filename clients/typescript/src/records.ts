import { fromBase64, toBase64 } from "./base64.js";
import { digest } from "./digest.js";
import { ConversationStoreError, NotFoundError } from "./errors.js";
import { toQuery, versionOf } from "./http.js";
import type { Body, Transport } from "./http.js";
import type * as T from "./types.js";

/** The gateway takes 10,240 bytes of request line and headers, of which a token may have a few thousand. */
const LONGEST_QUERY = 6_000;
/** A request of a list names up to so many keys and prefixes. */
const MOST_SELECTORS = 1_000;
/** A batch has up to so many records, in a body of up to 4 MiB, of which this leaves a margin. */
const MOST_RECORDS = 100;
const LARGEST_BATCH = 3_000_000;

/** A record with its value. */
export class StoredRecord {
  constructor(
    readonly key: string,
    readonly revision: number,
    readonly contentType: string,
    readonly bytes: Uint8Array<ArrayBuffer>,
  ) {}

  text(): string {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.bytes);
  }

  json(): any {
    return JSON.parse(this.text());
  }
}

/** A record to put. */
export interface NewRecord {
  key: string;
  value: Body;
  contentType?: string | undefined;
  /** The revision that the record must have, `*` if it must be there, 0 if it must not. */
  ifMatch?: number | "*" | undefined;
  ifNoneMatch?: "*" | undefined;
}

export type WithValues<O> = O extends { values: true } ? StoredRecord : T.RecordInfo;

/** Bytes under keys: those of a conversation, which are deleted with it, or the owner's own. Get one with `store.records()`. */
export class Records {
  constructor(
    private readonly transport: Transport,
    private readonly scope: string,
  ) {}

  /** Stores a value of up to 4 MiB, text or bytes. Creates the conversation if it is new. */
  async put(
    key: string,
    value: Body,
    { contentType, ...options }: T.WriteOptions & { contentType?: string | undefined } = {},
  ): Promise<T.WrittenRecord> {
    const type = contentType ?? defaultType(value);
    if (isPath(key)) {
      const call = { method: "PUT", path: this.#path(key), raw: { body: value, contentType: type }, options } as const;
      return (await this.transport.json<T.WrittenRecord>(call)).body!;
    }
    const { ifMatch, ifNoneMatch, ...rest } = options;
    const change = toChange({ key, value, contentType: type, ifMatch, ifNoneMatch });
    return (await this.batch([change], rest)).data[0] as T.WrittenRecord;
  }

  /** The record, or undefined if there is none. With `ifNoneMatch`, null if its revision is still that one. */
  async get<O extends T.ReadOptions = {}>(key: string, options?: O): Promise<T.Read<StoredRecord, O> | undefined> {
    const { signal, ifNoneMatch } = options ?? {};
    if (!isPath(key)) {
      const [found] = (await this.list({ key, values: true }, signal && { signal })).data;
      return (found?.revision === ifNoneMatch && found ? null : found && decode(found)) as T.Read<StoredRecord, O> | undefined;
    }
    try {
      const call = { method: "GET", path: this.#path(key), ...(options && { options }) } as const;
      const { status, headers, bytes } = await this.transport.request(call);
      const type = headers.get("content-type") ?? "application/octet-stream";
      const found = status === 304 ? null : new StoredRecord(key, versionOf(headers), type, new Uint8Array(bytes));
      return found as T.Read<StoredRecord, O>;
    } catch (error) {
      if (error instanceof NotFoundError && ["record_not_found", "conversation_not_found"].includes(error.code ?? "")) return undefined;
      throw error;
    }
  }

  /** Deletes one record; false if there was none. */
  async delete(key: string, options: Omit<T.WriteOptions, "ifNoneMatch"> = {}): Promise<boolean> {
    // A path takes no condition that there is no such record.
    if (isPath(key) && options.ifMatch !== 0) {
      const call = { method: "DELETE", path: this.#path(key), isKeyed: true, options } as const;
      return (await this.transport.json<T.RecordsDeleted>(call)).body!.deleted > 0;
    }
    const { ifMatch: if_match, ...rest } = options;
    const { data } = await this.batch([{ key, delete: true, if_match }], rest);
    return (data[0] as T.RecordDeletion).deleted > 0;
  }

  /** Deletes all records whose key begins with `prefix`, in one commit for each 100,000; how many. */
  async deleteAll(prefix: string, options: T.RequestOptions = {}): Promise<number> {
    const call = { method: "DELETE", path: this.scope, query: { prefix }, isKeyed: true, options } as const;
    for (let deleted = 0; ;) {
      const { body } = await this.transport.json<T.RecordsDeleted>(call);
      deleted += body!.deleted;
      if (!body!.has_more) return deleted;
    }
  }

  /** Writes and deletes up to 100 records, all or none, in one commit. */
  async batch(records: T.RecordChange[], options: Pick<T.WriteOptions, "idempotencyKey" | "signal"> = {}): Promise<T.RecordResults> {
    const call = { method: "POST", path: this.scope, json: { records: changesOf(records) }, options } as const;
    return (await this.transport.json<T.RecordResults>(call)).body!;
  }

  /**
   * Stores any number of records in their order: in one request, all or none, unless they are more than a batch takes.
   * Of several requests the first has your `idempotencyKey`, the others keys that follow from it.
   */
  async putAll(records: NewRecord[], options: Pick<T.WriteOptions, "idempotencyKey" | "signal"> = {}): Promise<void> {
    for (const [at, batch] of batches(records).entries()) {
      const { idempotencyKey: given } = options;
      const idempotencyKey = at > 0 && typeof given === "string" ? await digest(`${given}/${at}`) : given;
      const [{ key, value, ...more }] = batch as [NewRecord];
      // A value is shorter by itself than in a batch.
      if (batch.length === 1) await this.put(key, value, { ...more, ...options, idempotencyKey });
      else await this.batch(batch.map(toChange), { ...options, idempotencyKey });
    }
  }

  /** A page of records in the order of their keys. */
  async list(query: T.ListRecords = {}, options?: T.RequestOptions): Promise<T.RecordPage> {
    const call = { method: "GET", path: this.scope, query, ...(options && { options }) } as const;
    return (await this.transport.json<T.RecordPage>(call)).body!;
  }

  /** All records of a list in the order of their keys; a request for each page. */
  async *iterate<O extends T.ListRecords>(query: O, options?: T.RequestOptions): AsyncGenerator<WithValues<O>> {
    for await (const page of this.pages(query, options)) yield* page;
  }

  /** The same, page by page. */
  async *pages<O extends T.ListRecords>(query: O, options?: T.RequestOptions): AsyncGenerator<WithValues<O>[]> {
    for (let { after } = query as T.ListRecords; ;) {
      const page = await this.list({ ...query, ...(after !== undefined && { after }) }, options);
      yield (query.values ? page.data.map(decode) : page.data) as WithValues<O>[];
      if (!page.has_more || page.last_id === null) return;
      after = page.last_id;
    }
  }

  /** Those of any number of keys that are there, and all under the prefixes, by their keys; one request if they are few. */
  async getAll(keys: string[], prefixes: string[] = [], options?: T.RequestOptions): Promise<Map<string, StoredRecord>> {
    const found = new Map<string, StoredRecord>();
    const read = async (query: T.ListRecords): Promise<void> => {
      for await (const record of this.iterate({ ...query, values: true, limit: 1000 }, options)) found.set(record.key, record);
    };
    await Promise.all(selections(keys, prefixes).map(read));
    return found;
  }

  #path(key: string): string {
    return `${this.scope}/${key.split("/").map(encodeURIComponent).join("/")}`;
  }
}

const defaultType = (value: Body): string => (typeof value === "string" ? "text/plain; charset=utf-8" : "application/octet-stream");

const toChange = ({ key, value, contentType, ifMatch, ifNoneMatch }: NewRecord): T.RecordChange => ({
  key,
  ...encode(value),
  content_type: contentType,
  if_match: ifMatch,
  if_none_match: ifNoneMatch,
});

/** In the API a revision is at least 1, and there is another condition for what must not be there. */
export const changesOf = (changes: T.RecordChange[]): T.RecordChange[] =>
  changes.map((change) => (change.if_match === 0 ? { ...change, if_match: undefined, if_none_match: "*" } : change));

/** The bytes that a value takes of a body, or, where that is more, of the 6 MB that Lambda takes of a body as a JSON string. */
function weightOf(value: Body): number {
  if (typeof value !== "string") return (value.length / 3) * 4;
  const json = JSON.stringify(value);
  return Math.max(byteLength(json), byteLength(JSON.stringify(json)) / 1.5);
}

export const byteLength = (text: string): number => new TextEncoder().encode(text).length;

function batches(records: NewRecord[]): NewRecord[][] {
  const found: NewRecord[][] = [];
  let size = Infinity;
  for (const record of records) {
    const added = weightOf(record.value) + weightOf(record.key) + 200;
    if (size + added > LARGEST_BATCH || found.at(-1)?.length === MOST_RECORDS) {
      found.push([]);
      size = 0;
    }
    found.at(-1)!.push(record);
    size += added;
  }
  return found;
}

/** A value as a change of a batch has it. */
function encode(value: Body): { value: string; base64?: undefined } | { base64: string; value?: undefined } {
  return typeof value === "string" ? { value } : { base64: toBase64(value) };
}

/** A record of a list with its value as bytes. */
function decode({ key, revision, content_type, value, base64 }: T.ListedRecord): StoredRecord {
  if (value === undefined && base64 === undefined) throw new ConversationStoreError(`The record ${key} was listed without its value`);
  const bytes = base64 === undefined ? new TextEncoder().encode(value) : fromBase64(base64);
  return new StoredRecord(key, revision, content_type, bytes);
}

/** Whether a key can stand in a path: URLs have no dot segments, and gateways merge slashes and decode what they should not. */
const isPath = (key: string): boolean => !/[?#%\\\x00-\x20\x7f]|(?:^|\/)\.{0,2}(?:\/|$)/.test(key);

/** Queries that select all of these, each short enough for a URL. */
function selections(keys: string[], prefixes: string[]): T.ListRecords[] {
  const found: { key: string[]; prefix: string[] }[] = [];
  let [length, count] = [Infinity, 0];
  const select = (kind: "key" | "prefix", one: string): void => {
    const added = toQuery({ [kind]: one }).length + 1;
    if (length + added > LONGEST_QUERY || count === MOST_SELECTORS) {
      found.push({ key: [], prefix: [] });
      [length, count] = [0, 0];
    }
    found.at(-1)![kind].push(one);
    length += added;
    count += 1;
  };
  for (const key of keys) select("key", key);
  for (const prefix of prefixes) select("prefix", prefix);
  return found;
}
