import { Transport, nextCursor, segment, withVersion } from "./http.js";
import type { ClientOptions } from "./http.js";
import { readLast } from "./last.js";
import { Records, changesOf } from "./records.js";
import type * as T from "./types.js";

/**
 * A client of the conversation store.
 *
 * Every method sends one request, except those that say otherwise. Failed requests are sent again where that is safe: writes
 * have an `Idempotency-Key`, so that one whose answer was lost is not done twice. Errors are of `ApiError` or `ConnectionError`.
 */
export class ConversationStore {
  readonly #transport: Transport;
  readonly conversations: Conversations;
  readonly messages: Messages;
  readonly items: Items;

  constructor(options: ClientOptions) {
    this.#transport = new Transport(options);
    transports.set(this, this.#transport);
    this.conversations = new Conversations(this.#transport);
    this.messages = new Messages(this.#transport);
    this.items = new Items(this.#transport);
  }

  /** The records of a conversation, or without one, the owner's own. */
  records(conversation?: string): Records {
    const scope = conversation === undefined ? "/v1/records" : `${pathOf(conversation)}/records`;
    return new Records(this.#transport, scope);
  }

  /**
   * Deletes the conversations that `conversations.list` has for the same filter, up to 1,000; if there are more, `has_more` is true. By
   * default it only counts them. Where the answer to a deletion is lost, it is sent again, and then counts what was left.
   */
  async deleteConversations(
    filter: T.ConversationFilter,
    { dryRun = true, ...options }: { dryRun?: boolean | undefined } & T.RequestOptions = {},
  ): Promise<T.ConversationDeletions> {
    const query = { ...filter, dry_run: dryRun };
    const call = { method: "DELETE", path: "/v1/conversations", query, options } as const;
    return (await this.#transport.json<T.ConversationDeletions>(call)).body!;
  }

  /** How much the caller has, and the last erasure of it. */
  async owner(options?: T.RequestOptions): Promise<T.OwnerData> {
    return (await this.#transport.json<T.OwnerData>({ method: "GET", path: "/v1/owner", options })).body!;
  }

  /** Erases everything that the caller has: afterwards nobody can read any of it. `owner` says how far its removal has come. */
  async deleteOwner(options?: T.RequestOptions): Promise<T.OwnerDeleted> {
    return (await this.#transport.json<T.OwnerDeleted>({ method: "DELETE", path: "/v1/owner", options })).body!;
  }

  /** Everything that the caller has, in pages of lines, each of which `conversation-store import` takes; a request for each page. */
  async *exportOwner({ after }: { after?: string | undefined } = {}, options?: T.RequestOptions): AsyncGenerator<T.ExportPage> {
    for (let cursor = after ?? null, more = true; more; more = cursor !== null) {
      const call = { method: "GET", path: "/v1/owner/export", query: { after: cursor }, options } as const;
      const { bytes, headers } = await this.#transport.request(call);
      cursor = nextCursor(headers);
      const text = new TextDecoder().decode(bytes);
      yield { lines: text.split("\n").filter((line) => line !== ""), after: cursor };
    }
  }

  /** With `deep`, both stores are checked as well. */
  async health({ deep = false, ...options }: { deep?: boolean | undefined } & T.RequestOptions = {}): Promise<T.HealthReport> {
    const query = deep ? { deep: "1" } : {};
    return (await this.#transport.json<T.HealthReport>({ method: "GET", path: "/v1/health", query, options })).body!;
  }
}

const transports = new WeakMap<ConversationStore, Transport>();

/** For the adapters, which send messages as the text that they are stored as. */
export function transportOf(store: ConversationStore): Transport {
  const transport = transports.get(store);
  if (!transport) throw new TypeError("store must be a ConversationStore");
  return transport;
}

export const pathOf = (conversation: string): string => `/v1/conversations/${segment(conversation)}`;
const itemPathOf = (conversation: string, item: string): string => `${pathOf(conversation)}/items/${segment(item, LONGEST_ITEM_ID)}`;
/** An item that is a part of a message has an id that is made of the message's. */
const LONGEST_ITEM_ID = 140;

export class Conversations {
  constructor(private readonly transport: Transport) {}

  /** Creates a conversation, with its first messages or as a fork of another one (`fork_of`). */
  async create(body: T.NewConversation = {}, options?: T.WriteOptions): Promise<T.Conversation> {
    const call = { method: "POST", path: "/v1/conversations", json: withChanges(body), options } as const;
    return (await this.transport.json<T.Conversation>(call)).body!;
  }

  async get<O extends T.ReadOptions = {}>(id: string, query?: T.GetConversation, options?: O): Promise<T.Read<T.Conversation, O>> {
    const call = { method: "GET", path: pathOf(id), query, options } as const;
    return (await this.transport.json<T.Conversation>(call)).body as T.Read<T.Conversation, O>;
  }

  /** A page of the owner's conversations, by default the 20 with the newest activity that are not archived. */
  async list(query?: T.ListConversations, options?: T.RequestOptions): Promise<T.ConversationPage> {
    const call = { method: "GET", path: "/v1/conversations", query, options } as const;
    return (await this.transport.json<T.ConversationPage>(call)).body!;
  }

  /** All conversations, a request for each page of `limit`. */
  async *iterate(query: T.ListConversations = {}, options?: T.RequestOptions): AsyncGenerator<T.Conversation> {
    for (let after = query.after ?? null; ;) {
      const page = await this.list({ limit: 100, ...query, ...(after !== null && { after }) }, options);
      yield* page.data;
      after = page.after;
      if (!page.has_more || after === null) return;
    }
  }

  /** Changes the fields that are given: title, metadata, whether it is archived, and when it expires. */
  async update(id: string, change: T.ConversationChange, options?: T.WriteOptions): Promise<T.Conversation> {
    const call = { method: "POST", path: pathOf(id), json: change, options } as const;
    return (await this.transport.json<T.Conversation>(call)).body!;
  }

  /** Deletes it for good, with its messages and records; its id is not used again. */
  async delete(id: string, options?: Omit<T.WriteOptions, "idempotencyKey">): Promise<T.ConversationDeleted> {
    const call = { method: "DELETE", path: pathOf(id), options } as const;
    return (await this.transport.json<T.ConversationDeleted>(call)).body!;
  }
}

export class Messages {
  constructor(private readonly transport: Transport) {}

  /** Adds up to 100 messages, and changes records, in one commit. Creates the conversation if it is new. */
  async add(
    conversation: string,
    messages: T.NewMessage | T.NewMessage[],
    { records, ...options }: T.MessageWriteOptions = {},
  ): Promise<T.AddedMessages> {
    const json = withChanges({ messages: Array.isArray(messages) ? messages : [messages], records });
    const call = { method: "POST", path: `${pathOf(conversation)}/messages`, json, options } as const;
    return (await this.transport.json<T.AddedMessages>(call)).body!;
  }

  /** Replaces all messages after a position by up to 100 others, and changes records, in one commit. */
  async replace(
    conversation: string,
    after: number,
    messages: T.NewMessage[],
    { records, ...options }: T.MessageWriteOptions = {},
  ): Promise<T.ReplacedMessages> {
    const json = withChanges({ messages, records });
    const call = { method: "PUT", path: `${pathOf(conversation)}/messages`, query: { after }, json, options } as const;
    return (await this.transport.json<T.ReplacedMessages>(call)).body!;
  }

  /** The last messages, oldest first, or those `before` or `after` a position. */
  async list<O extends T.ReadOptions = {}>(conversation: string, query?: T.ListMessages, options?: O): Promise<T.Read<T.MessagePage, O>> {
    const call = { method: "GET", path: `${pathOf(conversation)}/messages`, query, options } as const;
    return withVersion(await this.transport.json<T.MessagePage>(call)) as T.Read<T.MessagePage, O>;
  }

  /** All messages from the first, or after a position; a request for each page of 100. */
  async *iterate(
    conversation: string,
    { after = 0 }: { after?: number | undefined } = {},
    options?: T.RequestOptions,
  ): AsyncGenerator<T.Message> {
    for (let more = true; more;) {
      const page = await this.list(conversation, { after, limit: 100 }, options);
      yield* page.data;
      ({ after, has_more: more } = page);
    }
  }

  /**
   * The last `count` messages, oldest first, and the version of the conversation that has them: 0 if there is none.
   * More than 100 are several requests, and some more where others write meanwhile.
   */
  async last(conversation: string, count: number, options?: T.RequestOptions): Promise<{ messages: T.Message[]; version: number }> {
    const { messages, version } = await readLast(this.transport, pathOf(conversation), count, options);
    return { messages, version };
  }
}

/** The same records in the form of the OpenAI Conversations API. */
export class Items {
  constructor(private readonly transport: Transport) {}

  /** Adds up to 20 items to a conversation that exists. */
  async add(conversation: string, items: T.NewItem[], options?: T.WriteOptions): Promise<T.AddedItems> {
    const call = { method: "POST", path: `${pathOf(conversation)}/items`, json: { items }, options } as const;
    return (await this.transport.json<T.AddedItems>(call)).body!;
  }

  /** A page of items, newest first unless `order` says otherwise. */
  async list<O extends T.ReadOptions = {}>(conversation: string, query?: T.ListItems, options?: O): Promise<T.Read<T.ItemPage, O>> {
    const call = { method: "GET", path: `${pathOf(conversation)}/items`, query, options } as const;
    return withVersion(await this.transport.json<T.ItemPage>(call)) as T.Read<T.ItemPage, O>;
  }

  /** All items, newest first unless `order` says otherwise; a request for each page. */
  async *iterate(conversation: string, query: T.ListItems = {}, options?: T.RequestOptions): AsyncGenerator<T.Item> {
    for (let after = query.after ?? null; ;) {
      const page = await this.list(conversation, { limit: 100, ...query, ...(after !== null && { after }) }, options);
      yield* page.data;
      after = page.last_id;
      if (!page.has_more || after === null) return;
    }
  }

  async get<O extends T.ReadOptions = {}>(conversation: string, item: string, options?: O): Promise<T.Read<T.Item, O>> {
    const call = { method: "GET", path: itemPathOf(conversation, item), options } as const;
    return (await this.transport.json<T.Item>(call)).body as T.Read<T.Item, O>;
  }

  /** Deletes the message that this item is; the conversation without it. */
  async delete(conversation: string, item: string, options?: Omit<T.WriteOptions, "idempotencyKey">): Promise<T.Conversation> {
    const call = { method: "DELETE", path: itemPathOf(conversation, item), options } as const;
    return (await this.transport.json<T.Conversation>(call)).body!;
  }
}

/** The same body, with records in the form of the API. */
const withChanges = <B extends { records?: T.RecordChange[] | null | undefined }>(body: B): B =>
  body.records ? { ...body, records: changesOf(body.records) } : body;
