// A session of the OpenAI Agents SDK for JavaScript that keeps its history as a conversation in the store, over plain HTTP.
//
//     const session = new ConversationStoreSession({ url: "http://127.0.0.1:9000", sessionId: "trip-to-lisbon" });
//     await run(agent, "Three days in Lisbon!", { session });
//
// Any number of processes may use a session at a time. What depends on what was read is conditional on its version (If-Match).
// Every write has an Idempotency-Key: when its answer is lost it is sent again, and done once.
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import { UserError } from "@openai/agents-core";

/** @typedef {import("@openai/agents-core").SessionHistoryTransactionAwareSession} TransactionAwareSession */
/** @typedef {import("@openai/agents-core").SessionHistoryTransactionArgs} TransactionArgs */
/** @typedef {import("@openai/agents-core").AgentInputItem} Item */
/** @typedef {Record<string, any> & { id: string, item_id?: string }} NewRecord An item as it is sent to the store. */
/** @typedef {NewRecord & { seq: number, created_at: number }} StoredRecord */
/** @typedef {{ status: number, version: string, body: any }} Answer */
/** @typedef {Record<string, string>} Headers */

/** How many items a request adds at most, and how many a page has. */
const MOST = 100;
/** How often a request is sent before its failure is thrown. */
const TRIES = 5;
/** A position after which there is never anything to replace. */
const NOWHERE = Number.MAX_SAFE_INTEGER;

const MISMATCH = "Session history suffix no longer matches the transaction precondition.";
const REUSED = "Session history operation was already applied with a different transaction.";

/** @implements {TransactionAwareSession} */
export class ConversationStoreSession {
  #url;
  #id;
  #headers;
  #fetch;

  /**
   * @param {object} options
   * @param {string} options.url Where the store is.
   * @param {string} [options.sessionId] The id of the conversation, which the first items create.
   * @param {Headers} [options.headers] Who calls: `authorization`, or `x-owner-id`.
   * @param {typeof globalThis.fetch} [options.fetch]
   */
  constructor({ url, sessionId = randomUUID(), headers = {}, fetch = globalThis.fetch }) {
    this.#url = `${url.replace(/\/$/, "")}/v1/conversations/${encodeURIComponent(sessionId)}/messages`;
    this.#id = sessionId;
    this.#headers = { ...headers, "content-type": "application/json" };
    this.#fetch = fetch;
  }

  async getSessionId() {
    return this.#id;
  }

  /** @param {number} [limit] Only the newest so many. @returns {Promise<Item[]>} Oldest first. */
  async getItems(limit = Infinity) {
    return (await this.#newest(limit)).records.map(toItem);
  }

  /** @param {Item[]} items More than 100 are several commits: others may see the first ones before the rest. */
  async addItems(items) {
    const records = toRecords(items, randomUUID());
    for (let at = 0; at < records.length; at += MOST) {
      done(await this.#add(records.slice(at, at + MOST), randomUUID()));
    }
  }

  /** @returns {Promise<Item | undefined>} The newest item, which no one else gets. */
  async popItem() {
    for (;;) {
      const { records, version } = await this.#newest(1);
      if (records.length === 0) return undefined;
      const answer = await this.#replace(records[0].seq - 1, [], randomUUID(), { "if-match": version });
      if (answer.status !== 412) return done(answer) && toItem(records[0]);
    }
  }

  async clearSession() {
    const answer = await this.#replace(0, [], randomUUID());
    if (answer.status !== 404) done(answer);
  }

  /** @param {Item[]} items Replace all others, in one commit. Without this method the runner clears the session, then fills it. */
  async replaceHistoryWithCompaction(items) {
    const [records, key] = [toRecords(atMost(items), randomUUID()), randomUUID()];
    const answer = await this.#replace(0, records, key);
    done(answer.status === 404 ? await this.#add(records, key) : answer);
  }

  /**
   * Changes the history in one commit, once for each `operationId`, wherever and however often it is asked for.
   *
   * The operation is the key of the request; the ids of the records say of which transaction they are. An operation is known for
   * as long as the conversation exists, also after it was cleared. One without items does nothing, and is not kept.
   * @param {TransactionArgs} args
   */
  async applyHistoryTransaction({ operationId, transaction }) {
    if (typeof operationId !== "string" || !operationId.trim()) {
      throw new UserError("Session history transaction operationId must be a non-empty string.");
    }
    const { expected, added } = changeOf(transaction);
    const records = toRecords(atMost(added), digest(operationId, transaction));
    const key = digest(this.#id, operationId);
    if (expected.length > 0) return this.#replaceSuffix(expected, records, key);
    if (records.length === 0) return;
    const answer = await this.#add(records, key);
    if (isReused(answer)) throw new UserError(REUSED);
    done(answer);
  }

  /**
   * The store looks for the key before it looks at the condition. So the request is sent even where the suffix is another one,
   * under a condition that cannot hold: what was done before is answered, anything else refused.
   * @param {Item[]} expected @param {NewRecord[]} records @param {string} key
   */
  async #replaceSuffix(expected, records, key) {
    for (;;) {
      const { records: suffix, version } = await this.#newest(expected.length);
      const matches = isDeepStrictEqual(suffix.map(toItem), expected);
      const answer = matches
        ? await this.#replace(suffix[0].seq - 1, records, key, { "if-match": version })
        : await this.#replace(NOWHERE, records, key, { "if-none-match": "*" });
      if (isReused(answer)) {
        // Where nothing but the position differs, it was done, and the history has moved since.
        if (answer.body.error.param === "after") return;
        throw new UserError(REUSED);
      }
      if (answer.status === 404 || (answer.status === 412 && !matches)) throw new UserError(MISMATCH);
      if (answer.status !== 412) return void done(answer);
      // Another writer came first, and may have left the suffix as it was: look again.
    }
  }

  /** @param {NewRecord[]} records @param {string} key */
  #add(records, key) {
    return this.#send("POST", "", { messages: records }, { "idempotency-key": key });
  }

  /** @param {number} after @param {NewRecord[]} records @param {string} key @param {Headers} [condition] */
  #replace(after, records, key, condition) {
    return this.#send("PUT", `?after=${after}`, { messages: records }, { "idempotency-key": key, ...condition });
  }

  /**
   * The newest records, oldest first, and the version of the conversation that has them.
   * @param {number} count @returns {Promise<{ records: StoredRecord[], version: string }>}
   */
  async #newest(count) {
    const found = { records: /** @type {StoredRecord[]} */ ([]), version: "" };
    for (let before = ""; found.records.length < count; ) {
      const page = await this.#send("GET", `?limit=${Math.min(count - found.records.length, MOST)}${before}`);
      if (page.status === 404) return { records: [], version: "" };
      const body = done(page);
      // Pages of two versions may not fit together: begin anew.
      if (before && page.version !== found.version) return this.#newest(count);
      found.records.unshift(...body.data);
      found.version = page.version;
      if (body.before === null) break;
      before = `&before=${body.before}`;
    }
    return found;
  }

  /**
   * Sends a request until it is answered.
   * @param {string} method @param {string} query @param {object} [body] @param {Headers} [headers] @returns {Promise<Answer>}
   */
  async #send(method, query, body, headers) {
    const init = { method, headers: { ...this.#headers, ...headers }, body: body && JSON.stringify(body) };
    for (let tried = 1; ; tried += 1) {
      try {
        const response = await this.#fetch(this.#url + query, init);
        const { status } = response;
        if (status !== 503 || tried === TRIES) {
          return { status, version: response.headers.get("etag") ?? "", body: await response.json() };
        }
      } catch (error) {
        if (tried === TRIES) throw error;
      }
      await sleep(50 * 2 ** tried);
    }
  }
}

/** @param {Answer} answer */
function done({ status, body }) {
  if (status === 200) return body;
  const { code, message } = body.error ?? body;
  throw new Error(`The store answered ${status} ${code}: ${message}`);
}

/** @param {Answer} answer Does the key stand for another request? */
const isReused = ({ status, body }) => status === 409 && body.error.code === "idempotency_conflict";

/** @param {any} transaction What it takes from the end of the history, and what it adds. */
function changeOf(transaction) {
  const { type, items, expectedSuffix, replacement } = plain(transaction ?? {});
  const [expected, added] = type === "append_items" ? [[], items] : [expectedSuffix, replacement];
  const isKnown = ["append_items", "replace_suffix"].includes(type) && Array.isArray(expected) && Array.isArray(added);
  if (!isKnown) throw new UserError("Unsupported session history transaction.");
  return { expected, added };
}

/** @param {Item[]} items */
function atMost(items) {
  if (items.length <= MOST) return items;
  throw new UserError(`The store adds up to ${MOST} items in one commit, and these are ${items.length}.`);
}

/**
 * A record has an id of its own, since an item may come twice with one id, and again after it was removed.
 * @param {Item[]} items @param {string} name @returns {NewRecord[]}
 */
function toRecords(items, name) {
  return Array.from(plain(items), (item, at) => ({ ...item, id: `item_${name}_${at}`, item_id: item.id }));
}

/** @param {StoredRecord} record @returns {any} */
function toItem({ id: _id, seq: _seq, created_at: _at, item_id, ...item }) {
  return item_id === undefined ? item : { id: item_id, ...item };
}

/** @param {any[]} parts */
const digest = (...parts) => createHash("sha256").update(JSON.stringify(plain(parts))).digest("base64url");

/** @param {any} value @returns {any} A copy, its keys in order. Bytes, dates and what else JSON would change is refused. */
function plain(value) {
  if (value === null || ["string", "boolean"].includes(typeof value) || Number.isFinite(value)) return value;
  if (Array.isArray(value)) return Array.from(value, plain);
  if (typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const keys = Object.keys(value).filter((key) => value[key] !== undefined);
    return Object.fromEntries(keys.sort().map((key) => [key, plain(value[key])]));
  }
  throw new UserError("Session history items must be plain JSON.");
}
