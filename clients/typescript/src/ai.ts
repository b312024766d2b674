import type { UIMessage } from "ai";

import type { ConversationStore } from "./client.js";
import { ConflictError, PreconditionFailedError } from "./errors.js";
import { canonical } from "./json.js";
import type { Message, NewMessage, RecordChange, RecordResult } from "./types.js";

/** The record of a conversation that has the id of the stream that answers right now. */
const STREAM = "ai/active-stream";
/** How many messages a commit adds at most. */
const MOST = 100;

/** A message, and the text that it is compared by. */
interface Saved {
  id: string;
  json: string;
  message: NewMessage;
}

type Stored = Saved & { seq: number };

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
  messages?: M[];
  /** The id of a stream that begins; null where one ends. */
  activeStreamId?: string | null;
}

/** Creates an empty chat; its id. */
export async function createChat(store: ConversationStore): Promise<string> {
  return (await store.conversations.create()).id;
}

/** Loads a chat; one that does not exist is empty. */
export async function loadChat<M extends UIMessage = UIMessage>(store: ConversationStore, id: string): Promise<Chat<M>> {
  const [{ messages, version }, record] = await Promise.all([store.messages.last(id, Infinity), store.records(id).get(STREAM)]);
  const stored = messages.map(toStored);
  // Copies, since the caller's may be changed, and these may be sent again.
  const chat = {
    id,
    messages: stored.map(({ message }) => structuredClone(message) as unknown as M),
    activeStreamId: record?.text() ?? null,
  };
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
  const saved = state.queue.then(() => save(store, id, state, wanted, activeStreamId));
  state.queue = saved.catch(() => undefined); // The caller gets the error; the next save does not depend on it.
  return saved;
}

async function save(
  store: ConversationStore,
  id: string,
  state: State,
  wanted: Saved[] | undefined,
  activeStreamId?: string | null,
): Promise<void> {
  const deleted = new Set<string>();
  for (let stream = streamChange(state, activeStreamId); ;) {
    const left = wanted?.filter((one) => !deleted.has(one.id));
    const write = left && planWrite(state.base, left, await readStored(store, id, state));
    if (!write && !stream) break;
    try {
      if (write) await send(store, id, state, write, stream);
      else if (stream) noteStream(state, (await store.records(id).batch([stream])).data);
      stream = undefined;
    } catch (error) {
      const other = deletedOf(error, write);
      if (other !== undefined) deleted.add(other);
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
  isAddition: boolean;
  added: Saved[];
}

/** The next commit on the way from what is stored to what is wanted; undefined at the end. */
function planWrite(base: State["base"], wanted: Saved[], stored: Stored[]): Write | undefined {
  const merged = merge(base, wanted, stored);
  let same = 0;
  while (same < stored.length && stored[same]!.json === merged[same]?.json) same += 1;
  const [isAddition, added] = [same === stored.length, merged.slice(same)];
  if (isAddition && added.length === 0) return undefined;
  // In two commits, messages of others would be gone in between.
  if (!isAddition && added.length > MOST)
    throw new RangeError(`A change more than ${MOST} messages from the end of a chat cannot be saved.`);
  return { kept: stored.slice(0, same), isAddition, added: added.slice(0, MOST) };
}

/** Stored messages, without what the caller discarded and with what it changed, then those that are new. */
function merge(base: State["base"], wanted: Saved[], stored: Stored[]): Saved[] {
  const [wantedById, storedIds] = [new Map(wanted.map((one) => [one.id, one])), new Set(stored.map(({ id }) => id))];
  const kept = stored.flatMap((one): Saved[] => {
    const own = wantedById.get(one.id);
    if (!own) return base?.has(one.id) ? [] : [one];
    return base?.get(one.id) === own.json ? [one] : [own];
  });
  // What the caller knew and is not there any more was deleted by others.
  return [...kept, ...wanted.filter(({ id }) => !storedIds.has(id) && !base?.has(id))];
}

async function readStored(store: ConversationStore, id: string, state: State): Promise<Stored[]> {
  if (!state.stored) {
    const { messages, version } = await store.messages.last(id, Infinity);
    Object.assign(state, { stored: messages.map(toStored), version });
  }
  return state.stored!;
}

async function send(
  store: ConversationStore,
  id: string,
  state: State,
  { kept, isAddition, added }: Write,
  stream?: RecordChange,
): Promise<void> {
  const messages = added.map(({ message }) => message);
  const condition = state.version === 0 ? ({ ifNoneMatch: "*" } as const) : { ifMatch: state.version };
  const options = { ...condition, ...(stream && { records: [stream] }) };
  const answer = isAddition
    ? await store.messages.add(id, messages, options)
    : await store.messages.replace(id, kept.at(-1)?.seq ?? 0, messages, options);
  // The answer to a request that was sent again has the present version, which may have changes of others.
  state.stored = answer.version === state.version + 1 ? [...kept, ...answer.data.map(toStored)] : undefined;
  state.version = answer.version;
  if (stream) noteStream(state, answer.records ?? []);
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
  return at === undefined ? undefined : write?.added[Number(at)]?.id;
}

const known = (messages: Saved[]): Map<string, string> => new Map(messages.map(({ id, json }) => [id, json]));

function toSaved(message: UIMessage): Saved {
  if (!message.id) throw new TypeError("a message has no id: give toUIMessageStream a generateMessageId");
  // Fields of the store's own, which it ignores, and which would never be equal.
  const { seq: _seq, created_at: _at, ...rest } = message as UIMessage & Partial<Message>;
  return { id: message.id, json: canonical(rest), message: rest as NewMessage };
}

function toStored({ seq, created_at: _at, ...message }: Message): Stored {
  return { id: message.id, json: canonical(message), message: message as unknown as NewMessage, seq };
}
