import { NotFoundError } from "./errors.js";
import { Transport, segment, versionOf } from "./http.js";
import type { ClientOptions } from "./http.js";
import { Records } from "./records.js";
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
    this.conversations = new Conversations(this.#transport);
    this.messages = new Messages(this.#transport);
    this.items = new Items(this.#transport);
  }

  /** The records of a conversation, or without one, the owner's own. */
  records(conversation?: string): Records {
    const scope = conversation === undefined ? "/v1/records" : `${pathOf(conversation)}/records`;
    return new Records(this.#transport, scope);
  }

  /** With `deep`, both stores are checked as well. */
  async health({ deep = false, ...options }: { deep?: boolean } & T.RequestOptions = {}): Promise<T.HealthReport> {
    const query = deep ? { deep: "1" } : {};
    return (await this.#transport.json<T.HealthReport>({ method: "GET", path: "/v1/health", query, options })).body!;
  }
}

const pathOf = (conversation: string): string => `/v1/conversations/${segment(conversation)}`;

export class Conversations {
  constructor(private readonly transport: Transport) {}

  /** Creates a conversation, with its first messages or as a fork of another one (`fork_of`). */
  async create(body: T.NewConversation = {}, options?: T.WriteOptions): Promise<T.Conversation> {
    const call = { method: "POST", path: "/v1/conversations", json: body, options } as const;
    return (await this.transport.json<T.Conversation>(call)).body!;
  }

  async get<O extends T.ReadOptions>(id: string, query?: T.GetConversation, options?: O): Promise<T.Read<T.Conversation, O>> {
    const call = { method: "GET", path: pathOf(id), query, options } as const;
    return (await this.transport.json<T.Conversation>(call)).body as T.Read<T.Conversation, O>;
  }

  /** A page of the owner's conversations, by default the 20 with the newest activity. */
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

  /** Changes title, metadata or both. */
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
    { records, ...options }: T.WriteOptions & { records?: T.RecordChange[] | undefined } = {},
  ): Promise<T.AddedMessages> {
    const json = { messages: Array.isArray(messages) ? messages : [messages], records };
    const call = { method: "POST", path: `${pathOf(conversation)}/messages`, json, options } as const;
    return (await this.transport.json<T.AddedMessages>(call)).body!;
  }

  /** Replaces all messages after a position by up to 100 others, and changes records, in one commit. */
  async replace(
    conversation: string,
    after: number,
    messages: T.NewMessage[],
    { records, ...options }: T.WriteOptions & { records?: T.RecordChange[] | undefined } = {},
  ): Promise<T.ReplacedMessages> {
    const json = { messages, records };
    const call = { method: "PUT", path: `${pathOf(conversation)}/messages`, query: { after }, json, options } as const;
    return (await this.transport.json<T.ReplacedMessages>(call)).body!;
  }

  /** The last messages, oldest first, or those `before` or `after` a position. */
  async list<O extends T.ReadOptions>(conversation: string, query?: T.ListMessages, options?: O): Promise<T.Read<T.MessagePage, O>> {
    const call = { method: "GET", path: `${pathOf(conversation)}/messages`, query, options } as const;
    return withVersion(await this.transport.json<T.MessagePage>(call)) as T.Read<T.MessagePage, O>;
  }

  /** All messages from the first, or after a position; a request for each page of 100. */
  async *iterate(conversation: string, { after = 0 }: { after?: number } = {}, options?: T.RequestOptions): AsyncGenerator<T.Message> {
    for (let more = true; more;) {
      const page = await this.list(conversation, { after, limit: 100 }, options);
      yield* page.data;
      ({ after, has_more: more } = page);
    }
  }

  /**
   * The last `count` messages, oldest first, and the version of the conversation that has them: 0 if there is none.
   * More than 100 are read in several requests, anew where the conversation changes meanwhile.
   */
  async last(conversation: string, count: number, options?: T.RequestOptions): Promise<{ messages: T.Message[]; version: number }> {
    const found = { messages: [] as T.Message[], version: 0 };
    for (let before: number | null | undefined; found.messages.length < count && before !== null;) {
      const limit = Math.min(count - found.messages.length, 100);
      const page: T.MessagePage | undefined = await this.#page(conversation, { limit, ...(before && { before }) }, options);
      if (!page) return { messages: [], version: 0 };
      if (before && page.version !== found.version) return this.last(conversation, count, options);
      found.messages.unshift(...page.data);
      found.version = page.version;
      before = page.before;
    }
    return found;
  }

  async #page(conversation: string, query: T.ListMessages, options?: T.RequestOptions): Promise<T.MessagePage | undefined> {
    try {
      return await this.list(conversation, query, options);
    } catch (error) {
      if (error instanceof NotFoundError && error.code === "conversation_not_found") return undefined;
      throw error;
    }
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
  async list<O extends T.ReadOptions>(conversation: string, query?: T.ListItems, options?: O): Promise<T.Read<T.ItemPage, O>> {
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

  async get<O extends T.ReadOptions>(conversation: string, item: string, options?: O): Promise<T.Read<T.Item, O>> {
    const call = { method: "GET", path: `${pathOf(conversation)}/items/${segment(item)}`, options } as const;
    return (await this.transport.json<T.Item>(call)).body as T.Read<T.Item, O>;
  }

  /** Deletes the message that this item is; the conversation without it. */
  async delete(conversation: string, item: string, options?: Omit<T.WriteOptions, "idempotencyKey">): Promise<T.Conversation> {
    const call = { method: "DELETE", path: `${pathOf(conversation)}/items/${segment(item)}`, options } as const;
    return (await this.transport.json<T.Conversation>(call)).body!;
  }
}

function withVersion<P extends object>({ body, headers }: { body: P | null; headers: Headers }): P | null {
  return body && { ...body, version: versionOf(headers) };
}
