import type { UIMessage } from "ai";

import type { ConversationStore } from "./client.js";
import { ConflictError, PreconditionFailedError } from "./errors.js";
import { History } from "./history.js";
import type { Entry } from "./history.js";
import { canonical } from "./json.js";
import type { RecordChange, RecordResult } from "./types.js";

/** The record of a conversation that has the id of the stream that answers right now. */
const STREAM = "ai/active-stream";

/** A message: the text that it is compared by, and its JSON as it is sent, which for one that is not changed is what is stored. */
interface Saved {
  id: string;
  json: string;
  text: string;
}

type Stored = Saved & { entry: Entry };

/** What a chat knows of its conversation. */
interface State {
  /** What the caller has loaded or saved: JSON by id; undefined if nothing was loaded. */
  base: Map<string, string> | undefined;
  /** All messages of `version`; undefined if they must be read. */
  stored: Stored[] | undefined;
  /** 0 if there is no conversation. */
  version: number;
  /** The revision of the stream's record that was loaded or saved; 0 if there was none, undefined if nothing was loaded. */
  stream: number | undefined;
  /** Saves of one chat come one after the other: the end of a stream must not overtake its beginning. */
  queue: Promise<void>;
}

const states = new WeakMap<object, State>();

/** A chat as it was loaded. `saveChat` compares with it. */
export interface Chat<M extends UIMessage = UIMessage> {
  readonly id: string;
  readonly messages: M[];
  /** The id of the stream that answers right now, to resume it. */
  readonly activeStreamId: string | null;
}

export interface SaveChat<M extends UIMessage = UIMessage> {
  /** What `loadChat` returned, or the id of a chat that was not loaded: then no message is deleted. */
  chat: Chat<M> | string;
  /** All messages as they are to be: those of `nextMessages`, or those and the answer. */
  messages?: M[] | undefined;
  /** The id of a stream that begins; null where one ends. */
  activeStreamId?: string | null | undefined;
}

/** Creates an empty chat; its id. */
export async function createChat(store: ConversationStore): Promise<string> {
  return (await store.conversations.create()).id;
}

/** Loads a chat; one that does not exist is empty. */
export async function loadChat<M extends UIMessage = UIMessage>(store: ConversationStore, id: string): Promise<Chat<M>> {
  const [{ entries, version }, record] = await Promise.all([new History(store, id).newest(Infinity), store.records(id).get(STREAM)]);
  const stored = entries.map(toStored);
  // Copies, since the caller's may be changed, and these may be sent again.
  const messages = entries.map(({ message }) => structuredClone(withoutOwn(message)) as M);
  const chat = { id, messages, activeStreamId: record?.text() ?? null };
  states.set(chat, { base: known(stored), stored, version, stream: record?.revision ?? 0, queue: Promise.resolve() });
  return chat;
}

/**
 * The messages to answer when the browser has sent its last one: those of the chat up to that one, or all and that one.
 *
 * A user's message that is there already is an edit or asks for another answer: saving the result discards what follows it. An assistant's
 * has the outcome of a tool, and discards nothing. Do not make them of what the browser shows: it may lack what another tab has added.
 */
export function nextMessages<M extends UIMessage>(chat: Chat<M>, message: M): M[] {
  const at = chat.messages.findIndex(({ id }) => id === message.id);
  if (at === -1) return [...chat.messages, message];
  if (message.role === "assistant") for (const { id } of chat.messages.slice(at + 1)) states.get(chat)?.base?.delete(id);
  return [...chat.messages.slice(0, at), message];
}

/**
 * Saves what has changed since the chat was loaded or last saved, messages and stream in one commit.
 *
 * Others may change the chat meanwhile, in another tab. What they added stays, in the order in which it was saved, and what they
 * deleted stays deleted. Null clears the stream that was loaded or saved with this chat, and never a newer one.
 */
export async function saveChat<M extends UIMessage>(
  store: ConversationStore,
  { chat, messages, activeStreamId }: SaveChat<M>,
): Promise<void> {
  const nothing = { base: undefined, stored: undefined, version: 0, stream: undefined, queue: Promise.resolve() };
  const [id, state] = typeof chat === "string" ? [chat, nothing] : [chat.id, states.get(chat)];
  if (!state) throw new TypeError("chat must be what loadChat returned, or the id of a chat");
  const wanted = messages?.map(toSaved);
  const history = new History(store, id);
  const saved = state.queue.then(() => save(store, history, state, wanted, activeStreamId));
  state.queue = saved.catch(() => undefined); // The caller gets the error; the next save does not depend on it.
  return saved;
}

async function save(
  store: ConversationStore,
  history: History,
  state: State,
  wanted: Saved[] | undefined,
  activeStreamId?: string | null,
): Promise<void> {
  let [left, isBatch] = [wanted, false];
  for (let stream = streamChange(state, activeStreamId); ;) {
    const write = left && planWrite(state.base, left, await readStored(history, state));
    if (!write && !stream) break;
    try {
      const answer = write
        ? await send(history, state, { ...write, isBatch }, stream)
        : (await store.records(history.id).batch([stream!])).data;
      // Where others have stored all of the messages meanwhile, no record was written: the stream is left for the next round.
      if (stream && answer) noteStream(state, answer);
      if (answer) stream = undefined;
      left = undefined;
    } catch (error) {
      const other = deletedOf(error, write);
      // To the store, the id of a message that has become a part of a batch is that of a deleted one: it has to stay in a batch.
      if (other !== undefined && write!.removed.some(({ id }) => id === other) && !isBatch) isBatch = true;
      else if (other !== undefined) left = left?.filter(({ id }) => id !== other);
      else if (!(error instanceof PreconditionFailedError)) throw error;
      // A newer stream answers, and is not ours to clear; or another writer came first: look at what it has left.
      else if (error.code === "revision_mismatch") stream = undefined;
      else state.stored = undefined;
    }
  }
  if (wanted) state.base = known(wanted);
}

/** What a commit does: it replaces what follows the first `kept` messages, or if `kept` is all of them, adds. */
interface Write {
  kept: Stored[];
  removed: Stored[];
  added: Saved[];
  /** Whether what is added has to be a batch. */
  isBatch?: boolean;
}

/** The commit that makes what is stored what is wanted; undefined if it is. */
function planWrite(base: State["base"], wanted: Saved[], stored: Stored[]): Write | undefined {
  const merged = merge(base, wanted, stored);
  let same = 0;
  while (same < stored.length && stored[same]!.json === merged[same]?.json) same += 1;
  const [kept, removed, added] = [stored.slice(0, same), stored.slice(same), merged.slice(same)];
  return removed.length + added.length > 0 ? { kept, removed, added } : undefined;
}

/** Stored messages, without what the caller discarded and with what it changed, then those that are new. */
function merge(base: State["base"], wanted: Saved[], stored: Stored[]): Saved[] {
  const [wantedById, storedIds] = [new Map(wanted.map((one) => [one.id, one])), new Set(stored.map(({ id }) => id))];
  const kept = stored.flatMap((one): Saved[] => {
    const own = wantedById.get(one.id);
    if (!own) return base?.has(one.id) ? [] : [one];
    return own.json === one.json || base?.get(one.id) === own.json ? [one] : [own];
  });
  // What the caller knew and is not there any more was deleted by others.
  return [...kept, ...wanted.filter(({ id }) => !storedIds.has(id) && !base?.has(id))];
}

async function readStored(history: History, state: State): Promise<Stored[]> {
  if (!state.stored) {
    const { entries, version } = await history.newest(Infinity);
    Object.assign(state, { stored: entries.map(toStored), version });
  }
  return state.stored!;
}

/** The results of the records; undefined if they were not written. */
async function send(history: History, state: State, { kept, removed, added, isBatch = false }: Write, stream?: RecordChange) {
  const { version, entries, records } = await history.write({
    removed: removed.map(({ entry }) => entry),
    added: added.map(({ text }) => text),
    batch: { id: `batch_${crypto.randomUUID()}`, isRequired: isBatch },
    ifMatch: state.version,
    ...(stream && { records: [stream] }),
  });
  Object.assign(state, { version, stored: entries && [...kept, ...entries.map(toStored)] });
  return stream ? records : [];
}

function streamChange({ stream }: State, activeStreamId: string | null | undefined): RecordChange | undefined {
  if (activeStreamId === undefined) return undefined;
  if (activeStreamId !== null) return { key: STREAM, value: activeStreamId };
  if (stream === undefined) return { key: STREAM, delete: true };
  return stream === 0 ? undefined : { key: STREAM, delete: true, if_match: stream };
}

function noteStream(state: State, [result]: RecordResult[]): void {
  state.stream = result?.object === "record" ? result.revision : 0;
}

/** The message that others have deleted, if that is why a write was refused: it is final. */
function deletedOf(error: unknown, write: Write | undefined): string | undefined {
  if (!(error instanceof ConflictError) || error.code !== "message_deleted") return undefined;
  const at = /^messages\[(\d+)\]/.exec(error.param ?? "")?.[1];
  // The first message of the commit may be the rest of a batch.
  const rest = write?.removed[0]?.entry.place ? 1 : 0;
  return at === undefined ? undefined : write?.added[Number(at) - rest]?.id;
}

const known = (messages: Saved[]): Map<string, string> => new Map(messages.map(({ id, json }) => [id, json]));

function toSaved(message: UIMessage): Saved {
  if (!message.id) throw new TypeError("a message has no id: give toUIMessageStream a generateMessageId");
  const json = canonical(withoutOwn(message));
  return { id: message.id, json, text: JSON.stringify(withoutOwn(message)) };
}

const toStored = (entry: Entry): Stored => {
  const message = withoutOwn(entry.message);
  return { id: entry.message["id"], json: canonical(message), text: entry.text, entry };
};

/** Without fields of the store's own, which it ignores, and which would never be equal. */
function withoutOwn({ seq: _seq, created_at: _at, ...message }: Record<string, any>): Record<string, any> {
  return message;
}
