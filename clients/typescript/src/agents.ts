import { UserError, applySessionHistoryMutations } from "@openai/agents-core";
import type {
  AgentInputItem,
  SessionHistoryRewriteArgs,
  SessionHistoryRewriteAwareSession,
  SessionHistoryTransactionArgs,
  SessionHistoryTransactionAwareSession,
} from "@openai/agents-core";

import type { ConversationStore } from "./client.js";
import { ConflictError, NotFoundError, PreconditionFailedError } from "./errors.js";
import { canonical } from "./json.js";
import { conversationId } from "./keys.js";
import type { Message, NewMessage, WriteOptions } from "./types.js";

/** How many items a commit adds at most. */
const MOST = 100;
/** A position after which there is never anything to replace. */
const NOWHERE = Number.MAX_SAFE_INTEGER;

const MISMATCH = "Session history suffix no longer matches the transaction precondition.";
const REUSED = "Session history operation was already applied with a different transaction.";

export interface SessionOptions {
  store: ConversationStore;
  /** The conversation, which the first items create; by default a new one. */
  sessionId?: string;
}

/**
 * A session of the OpenAI Agents SDK that keeps its history as a conversation.
 *
 * Any number of processes may use a session at a time. What depends on what was read is conditional on its version.
 */
export class ConversationStoreSession implements SessionHistoryTransactionAwareSession, SessionHistoryRewriteAwareSession {
  readonly #store: ConversationStore;
  readonly #sessionId: string;
  /** The conversation. */
  readonly #id: string;

  constructor({ store, sessionId = crypto.randomUUID() }: SessionOptions) {
    this.#store = store;
    this.#sessionId = sessionId;
    this.#id = conversationId(sessionId);
  }

  async getSessionId(): Promise<string> {
    return this.#sessionId;
  }

  /** The newest `limit` items, or all, oldest first. */
  async getItems(limit = Infinity): Promise<AgentInputItem[]> {
    return (await this.#newest(limit)).messages.map(toItem);
  }

  /** More than 100 items are several commits: others may see the first ones before the rest. */
  async addItems(items: AgentInputItem[]): Promise<void> {
    const messages = toMessages(items, crypto.randomUUID());
    for (let at = 0; at < messages.length; at += MOST) await this.#store.messages.add(this.#id, messages.slice(at, at + MOST));
  }

  /** The newest item, which no one else gets. */
  async popItem(): Promise<AgentInputItem | undefined> {
    for (;;) {
      const { messages, version } = await this.#newest(1);
      const [newest] = messages;
      if (!newest) return undefined;
      if (await this.#replacedAt(version, newest.seq - 1, [])) return toItem(newest);
    }
  }

  async clearSession(): Promise<void> {
    try {
      await this.#store.messages.replace(this.#id, 0, []);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** Replaces all items in one commit. Without this method the runner would clear the session, then fill it. */
  async replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> {
    const [messages, idempotencyKey] = [toMessages(atMost(items), crypto.randomUUID()), crypto.randomUUID()];
    try {
      await this.#store.messages.replace(this.#id, 0, messages, { idempotencyKey });
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (messages.length > 0) await this.#store.messages.add(this.#id, messages);
    }
  }

  /** Rewrites the history from the first item that changes, in one commit, as it is when nobody else changes it meanwhile. */
  async applyHistoryMutations({ mutations }: SessionHistoryRewriteArgs): Promise<void> {
    for (;;) {
      const { messages, version } = await this.#newest(Infinity);
      const items = messages.map(toItem);
      const changed = applySessionHistoryMutations(items, mutations);
      const first = items.findIndex((item, at) => canonical(item) !== canonical(changed[at]));
      if (first === -1) return;
      const replacement = toMessages(atMost(changed.slice(first)), crypto.randomUUID());
      if (await this.#replacedAt(version, messages[first]!.seq - 1, replacement)) return;
    }
  }

  /**
   * Changes the history in one commit, once for each `operationId`, wherever and however often it is asked for.
   *
   * The operation is the idempotency key of the request; the ids of the messages say of which transaction they are. An operation is
   * known for as long as the conversation exists, also after it was cleared. One without items does nothing, and is not kept.
   */
  async applyHistoryTransaction({ operationId, transaction }: SessionHistoryTransactionArgs): Promise<void> {
    if (typeof operationId !== "string" || !operationId.trim()) {
      throw new UserError("Session history transaction operationId must be a non-empty string.");
    }
    const { expected, added } = changeOf(transaction);
    const messages = toMessages(atMost(added), await digest(operationId, transaction));
    const idempotencyKey = await digest(this.#id, operationId);
    if (expected.length > 0) return this.#replaceSuffix(expected, messages, idempotencyKey);
    if (messages.length === 0) return;
    try {
      await this.#store.messages.add(this.#id, messages, { idempotencyKey });
    } catch (error) {
      throw isReused(error) ? new UserError(REUSED) : error;
    }
  }

  /**
   * The store looks for the key before it looks at the condition. So the request is sent even where the suffix is another one,
   * under a condition that cannot hold: what was done before is answered, anything else refused.
   */
  async #replaceSuffix(expected: AgentInputItem[], messages: NewMessage[], idempotencyKey: string): Promise<void> {
    for (;;) {
      const { messages: suffix, version } = await this.#newest(expected.length);
      const matches = canonical(suffix.map(toItem)) === canonical(expected);
      const [after, condition]: [number, WriteOptions] = matches
        ? [suffix[0]!.seq - 1, { ifMatch: version }]
        : [NOWHERE, { ifNoneMatch: "*" }];
      try {
        await this.#store.messages.replace(this.#id, after, messages, { idempotencyKey, ...condition });
        return;
      } catch (error) {
        // Where nothing but the position differs, it was done, and the history has moved since.
        if (isReused(error) && error.param === "after") return;
        if (isReused(error)) throw new UserError(REUSED);
        const isRefused = error instanceof PreconditionFailedError;
        if (isMissing(error) || (isRefused && !matches)) throw new UserError(MISMATCH);
        if (!isRefused) throw error;
        // Another writer came first, and may have left the suffix as it was: look again.
      }
    }
  }

  /** Replaces what follows a position, unless the conversation has left the version. */
  async #replacedAt(version: number, after: number, messages: NewMessage[]): Promise<boolean> {
    try {
      await this.#store.messages.replace(this.#id, after, messages, { ifMatch: version });
      return true;
    } catch (error) {
      if (error instanceof PreconditionFailedError) return false;
      throw error;
    }
  }

  #newest(count: number): Promise<{ messages: Message[]; version: number }> {
    return this.#store.messages.last(this.#id, count);
  }
}

const isMissing = (error: unknown): boolean => error instanceof NotFoundError && error.code === "conversation_not_found";

/** Does the key stand for another request? */
const isReused = (error: unknown): error is ConflictError => error instanceof ConflictError && error.code === "idempotency_conflict";

/** What a transaction takes from the end of the history, and what it adds. */
function changeOf(transaction: unknown): { expected: AgentInputItem[]; added: AgentInputItem[] } {
  const { type, items, expectedSuffix, replacement } = plain(transaction ?? {}) as Record<string, any>;
  const [expected, added] = type === "append_items" ? [[], items] : [expectedSuffix, replacement];
  const isKnown = ["append_items", "replace_suffix"].includes(type) && Array.isArray(expected) && Array.isArray(added);
  if (!isKnown) throw new UserError("Unsupported session history transaction.");
  return { expected, added };
}

function atMost(items: AgentInputItem[]): AgentInputItem[] {
  if (items.length <= MOST) return items;
  throw new UserError(`The store adds up to ${MOST} items in one commit, and these are ${items.length}.`);
}

/** A message has an id of its own, since an item may come twice with one id, and again after it was removed. */
function toMessages(items: AgentInputItem[], name: string): NewMessage[] {
  const plainItems = plain(items) as Record<string, any>[];
  return plainItems.map((item, at) => ({ ...item, id: `item_${name}_${at}`, item_id: item.id }) as unknown as NewMessage);
}

function toItem({ id: _id, seq: _seq, created_at: _at, item_id, ...item }: Message): AgentInputItem {
  return (item_id === undefined ? item : { id: item_id, ...item }) as AgentInputItem;
}

async function digest(...parts: unknown[]): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(plain(parts))));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A copy without undefined fields. Bytes, dates and what else JSON would change is refused: it could not be compared. */
function plain(value: unknown): unknown {
  if (value === null || ["string", "boolean"].includes(typeof value) || Number.isFinite(value)) return value;
  if (Array.isArray(value)) return Array.from(value, plain);
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const fields = Object.entries(value!).filter(([, field]) => field !== undefined);
    return Object.fromEntries(fields.map(([key, field]) => [key, plain(field)]));
  }
  throw new UserError("Session history items must be plain JSON.");
}
