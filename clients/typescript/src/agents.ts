import { UserError, applySessionHistoryMutations } from "@openai/agents-core";
import type {
  AgentInputItem,
  SessionHistoryRewriteArgs,
  SessionHistoryRewriteAwareSession,
  SessionHistoryTransactionArgs,
  SessionHistoryTransactionAwareSession,
} from "@openai/agents-core";

import { fromBase64, toBase64 } from "./base64.js";
import type { ConversationStore } from "./client.js";
import { digest } from "./digest.js";
import { ConflictError, NotFoundError, PreconditionFailedError } from "./errors.js";
import { BATCH, History } from "./history.js";
import type { Change, Entry } from "./history.js";
import { canonical, withField } from "./json.js";
import { conversationId } from "./keys.js";
import { pauseAfter } from "./last.js";

/** The type of a message that has an item with fields which the store would change or ignore. */
const WRAPPED = "agent_item";
const RESERVED = ["seq", "created_at", "item_id"];
/** Bytes of an item, in base64, are the field of an object with this name; an object that looks so is one under the other name. */
const BYTES = "$bytes";
const OBJECT = "$object";

const MISMATCH = "Session history suffix no longer matches the transaction precondition.";
const REUSED = "Session history operation was already applied with a different transaction.";

export interface SessionOptions {
  store: ConversationStore;
  /** The conversation, which the first items create; by default a new one. */
  sessionId?: string | undefined;
}

/**
 * A session of the OpenAI Agents SDK that keeps its history as a conversation.
 *
 * Any number of processes may use a session at a time. What depends on what was read is conditional on its version. Each method changes
 * the history in one commit, however many items there are.
 */
export class ConversationStoreSession implements SessionHistoryTransactionAwareSession, SessionHistoryRewriteAwareSession {
  readonly #sessionId: string;
  readonly #history: Promise<History>;

  constructor({ store, sessionId = crypto.randomUUID() }: SessionOptions) {
    this.#sessionId = sessionId;
    this.#history = conversationId(sessionId).then((id) => new History(store, id));
  }

  async getSessionId(): Promise<string> {
    return this.#sessionId;
  }

  /** The newest `limit` items, or all, oldest first. */
  async getItems(limit = Infinity): Promise<AgentInputItem[]> {
    return (await this.#newest(limit)).entries.map(toItem);
  }

  async addItems(items: AgentInputItem[]): Promise<void> {
    const added = toTexts(items, crypto.randomUUID());
    if (added.length > 0) await (await this.#history).write({ added });
  }

  /** The newest item, which no one else gets. */
  async popItem(): Promise<AgentInputItem | undefined> {
    for (let attempt = 0; ; attempt += 1) {
      const { entries, version } = await this.#newest(1);
      const [newest] = entries;
      if (!newest) return undefined;
      if (await this.#isWritten({ removed: [newest], added: [], ifMatch: version })) return toItem(newest);
      await pauseAfter(attempt);
    }
  }

  async clearSession(): Promise<void> {
    try {
      await (await this.#history).overwrite([]);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** Replaces all items. Without this method the runner would clear the session, then fill it. */
  async replaceHistoryWithCompaction(items: AgentInputItem[]): Promise<void> {
    const added = toTexts(items, crypto.randomUUID());
    const history = await this.#history;
    try {
      await history.overwrite(added);
    } catch (error) {
      if (!isMissing(error)) throw error;
      if (added.length > 0) await history.write({ added });
    }
  }

  /** Rewrites the history from the first item that changes, as it is when nobody else changes it meanwhile. */
  async applyHistoryMutations({ mutations }: SessionHistoryRewriteArgs): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      const { entries, version } = await this.#newest(Infinity);
      const before = entries.map(toItem);
      const changed = applySessionHistoryMutations(before, mutations);
      const first = before.findIndex((item, at) => canonical(plain(item)) !== canonical(plain(changed[at] ?? null)));
      if (first === -1) return;
      const removed = entries.slice(first);
      const added = resent(removed, before.slice(first), toTexts(changed.slice(first), crypto.randomUUID()), changed.slice(first));
      if (await this.#isWritten({ removed, added, ifMatch: version })) return;
      await pauseAfter(attempt);
    }
  }

  /**
   * Changes the history once for each `operationId`, wherever and however often it is asked for.
   *
   * The operation is the idempotency key of the request; the ids of the messages say of which transaction they are. An operation without
   * items does nothing, and is not kept.
   */
  async applyHistoryTransaction({ operationId, transaction }: SessionHistoryTransactionArgs): Promise<void> {
    if (typeof operationId !== "string" || !operationId.trim()) {
      throw new UserError("Session history transaction operationId must be a non-empty string.");
    }
    const { expected, items } = changeOf(transaction);
    const added = toTexts(items, await digest(canonical(plain([operationId, transaction]))));
    const history = await this.#history;
    const idempotencyKey = await digest(canonical([history.id, operationId]));
    if (expected.length > 0) return this.#replaceSuffix(expected, added, idempotencyKey);
    if (added.length === 0) return;
    try {
      await history.write({ added, idempotencyKey });
    } catch (error) {
      throw isReused(error) ? new UserError(REUSED) : error;
    }
  }

  /** The request is sent even where the suffix is another one: what was done before is answered, anything else refused. */
  async #replaceSuffix(expected: unknown[], added: string[], idempotencyKey: string): Promise<void> {
    for (const history = await this.#history; ;) {
      const { entries: removed, version } = await history.newest(expected.length);
      const matches = canonical(removed.map(({ message }) => itemOf(message))) === canonical(expected);
      try {
        // The request must be the same when it is repeated: it cannot have a part of a batch. So the batch ends before the suffix.
        if (matches && removed[0]!.place > 0) await history.write({ removed, added: removed.map(({ text }) => text), ifMatch: version });
        else if (matches) return void (await history.write({ removed, added, idempotencyKey, ifMatch: version }));
        else return await history.repeat(added, idempotencyKey);
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

  /** Makes a change, unless the conversation has left the version. */
  async #isWritten(change: Change): Promise<boolean> {
    try {
      await (await this.#history).write(change);
      return true;
    } catch (error) {
      if (error instanceof PreconditionFailedError) return false;
      throw error;
    }
  }

  async #newest(count: number): Promise<{ entries: Entry[]; version: number }> {
    return (await this.#history).newest(count);
  }
}

const isMissing = (error: unknown): boolean => error instanceof NotFoundError && error.code === "conversation_not_found";

/** Does the key stand for another request? */
const isReused = (error: unknown): error is ConflictError => error instanceof ConflictError && error.code === "idempotency_conflict";

/** What a transaction takes from the end of the history, in the form in which it is stored, and what it adds. */
function changeOf(transaction: unknown): { expected: unknown[]; items: AgentInputItem[] } {
  const { type, items, expectedSuffix, replacement } = (transaction ?? {}) as Record<string, any>;
  const [expected, added] = type === "append_items" ? [[], items] : [expectedSuffix, replacement];
  const isKnown = ["append_items", "replace_suffix"].includes(type) && Array.isArray(expected) && Array.isArray(added);
  if (!isKnown) throw new UserError("Unsupported session history transaction.");
  return { expected: plain(expected) as unknown[], items: added };
}

/** The messages of items. Each has an id of its own, since an item may come twice with one id, and again after it was removed. */
function toTexts(items: AgentInputItem[], name: string): string[] {
  return (plain(items) as Record<string, any>[]).map((item, at) => {
    const id = `item_${name}_${at}`;
    const isChanged = RESERVED.some((field) => Object.hasOwn(item, field)) || [WRAPPED, BATCH].includes(item["type"]);
    return JSON.stringify(isChanged ? { type: WRAPPED, id, item } : { ...item, id, item_id: item["id"] });
  });
}

/** The same messages, but for items that are not changed as they are stored, to the byte; the ids are those of the new messages. */
function resent(entries: Entry[], before: AgentInputItem[], texts: string[], items: AgentInputItem[]): string[] {
  const stored = new Map<string, string[]>();
  for (const [at, { text }] of entries.entries()) {
    const key = canonical(plain(before[at]));
    stored.set(key, [...(stored.get(key) ?? []), text]);
  }
  return texts.map((text, at) => {
    const same = stored.get(canonical(plain(items[at])))?.shift();
    return same === undefined ? text : withField(same, "id", JSON.parse(text).id);
  });
}

const toItem = ({ message }: Entry): AgentInputItem => revived(itemOf(message)) as AgentInputItem;

/** The item of a message, in the form in which it is stored. */
function itemOf({ id: _id, seq: _seq, created_at: _at, item_id, ...item }: Record<string, any>): unknown {
  if (item["type"] === WRAPPED) return item["item"];
  return item_id === undefined ? item : { id: item_id, ...item };
}

/** A copy as JSON has it: without undefined fields, and bytes in base64. Dates and what else JSON would change is refused. */
function plain(value: unknown): unknown {
  if (value === null || ["string", "boolean"].includes(typeof value) || Number.isFinite(value)) return value;
  if (Array.isArray(value)) return Array.from(value, plain);
  if (value instanceof Uint8Array) return { [BYTES]: toBase64(value) };
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const fields = Object.entries(value!).filter(([, field]) => field !== undefined);
    const copy = Object.fromEntries(fields.map(([key, field]) => [key, plain(field)]));
    return fields.length === 1 && [BYTES, OBJECT].includes(fields[0]![0]) ? { [OBJECT]: copy } : copy;
  }
  throw new UserError("Session history items must be plain JSON, or bytes.");
}

/** What `plain` was given. */
function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value);
  const [[key, field] = []] = fields.length === 1 ? fields : [];
  if (key === BYTES && typeof field === "string") return fromBase64(field);
  const source = key === OBJECT && typeof field === "object" && field !== null ? Object.entries(field) : fields;
  return Object.fromEntries(source.map(([name, one]) => [name, revived(one)]));
}
