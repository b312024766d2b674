import {
  BaseCheckpointSaver,
  TASKS,
  WRITES_IDX_MAP,
  compareWritesSortKeys,
  getCheckpointId,
  maxChannelVersion,
  writesSortKey,
} from "@langchain/langgraph-checkpoint";
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointListOptions,
  CheckpointMetadata,
  CheckpointPendingWrite,
  CheckpointTuple,
  DeltaChannelHistory,
  PendingWrite,
  SerializerProtocol,
} from "@langchain/langgraph-checkpoint";

import type { ConversationStore } from "./client.js";
import { PreconditionFailedError } from "./errors.js";
import { canonical } from "./json.js";
import { conversationId, isDigest, nameOf, unpack } from "./keys.js";
import type { NewRecord, Records, StoredRecord } from "./records.js";
import { ROOT, blobKey, checkpointKey, fromRecord, toRecord, writesKey } from "./thread.js";
import type { Located, Row, Writes } from "./thread.js";

/** The type of LangChain's own package, which is not imported for it. */
type Config = Parameters<BaseCheckpointSaver["getTuple"]>[0];

/** How many checkpoints a page of a list has. */
const PAGE = 50;

/**
 * A checkpointer of LangGraph that keeps a thread as records of the conversation of the same id.
 *
 *     const graph = builder.compile({ checkpointer: new ConversationStoreSaver(store) });
 *
 * `put` is one request where it has up to 100 records and about 3 MB, and `getTuple` two. What the Python checkpointer wrote is not read,
 * since the serializers differ. A value of a channel, and what a task writes, may have 4 MiB when it is compressed.
 */
export class ConversationStoreSaver extends BaseCheckpointSaver {
  readonly #store: ConversationStore;

  constructor(store: ConversationStore, serde?: SerializerProtocol) {
    super(serde);
    this.#store = store;
  }

  /** Versions of branches that begin at one checkpoint must differ, since values are kept by version: hence the random lower half. */
  override getNextVersion(current: number | undefined): number {
    return (Math.floor((current ?? 0) / 2 ** 32) + 1) * 2 ** 32 + crypto.getRandomValues(new Uint32Array(1))[0]!;
  }

  async getTuple(config: Config): Promise<CheckpointTuple | undefined> {
    const { thread, ns = "" } = placeOf(config);
    if (thread === undefined) return undefined;
    const [records, id] = [await this.#records(thread), getCheckpointId(config)];
    const record = id ? await records.get(checkpointKey(ns, id)) : undefined;
    const rows = id
      ? await Promise.all(record ? [this.#locate(thread, record)] : [])
      : (await this.#pages(records, thread, ns, "", 1).next()).value;
    return rows?.[0] && (await this.#tuples(records, rows))[0];
  }

  /** Newest first within each namespace. Without a thread, all conversations of the owner are looked through. */
  async *list(config: Config, { before, limit = Infinity, filter = {} }: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    const { thread, ns } = placeOf(config);
    const [only, bound, selects] = [getCheckpointId(config), before ? getCheckpointId(before) : "", Object.keys(filter).length > 0];
    const isListed = ({ checkpoint: { id }, metadata }: Row): boolean =>
      (!only || id === only) &&
      (!bound || id < bound) &&
      Object.entries(filter).every(([key, value]) => canonical(metadata[key as keyof CheckpointMetadata]) === canonical(value));
    for await (const { id } of thread !== undefined ? [{ id: await conversationId(thread) }] : this.#store.conversations.iterate()) {
      if (limit <= 0) return;
      const [records, name] = [this.#store.records(id), thread ?? (await nameOf(id))];
      // A conversation that has the id of no thread: what is in it is no thread's.
      if (name === undefined && !isDigest(id)) continue;
      for await (const rows of this.#pages(records, name, ns, bound, only || selects ? PAGE : Math.min(limit, PAGE))) {
        const listed = rows.filter(isListed).slice(0, limit);
        yield* await this.#tuples(records, listed);
        if ((limit -= listed.length) <= 0) return;
      }
    }
  }

  async put(config: Config, checkpoint: Checkpoint, metadata: CheckpointMetadata, newVersions: ChannelVersions): Promise<Config> {
    const { thread, ns = "", id: parent } = placeOf(config);
    if (thread === undefined) throw new Error('The checkpoint has no thread: "thread_id" is missing in config.configurable.');
    const { channel_values: values, ...rest } = checkpoint;
    const changed = Object.entries(newVersions).filter(([channel]) => channel in values);
    const blobs = changed.map(([channel, version]) => toRecord(this.serde, blobKey(ns, channel, version), values[channel]));
    const name = isDigest(await conversationId(thread)) ? { thread } : {};
    const row: Row = { checkpoint: rest, metadata, ...(parent !== undefined && { parent }), ...name };
    const record = toRecord(this.serde, checkpointKey(ns, checkpoint.id), row);
    // The checkpoint comes last, after all of its values.
    await (await this.#records(thread)).putAll(await Promise.all([...blobs, record]));
    return configOf(thread, ns, checkpoint.id);
  }

  /** What is there stays; only errors, interrupts and the like are replaced. */
  async putWrites(config: Config, writes: PendingWrite[], taskId: string, taskPath = ""): Promise<void> {
    const { thread, ns = "", id } = placeOf(config);
    if (thread === undefined || id === undefined) {
      throw new Error('The writes have no checkpoint: "thread_id" or "checkpoint_id" is missing in config.configurable.');
    }
    const key = writesKey(ns, id, taskId);
    const rows = writes.map(([channel, value], at): Writes["rows"][0] => [WRITES_IDX_MAP[channel] ?? at, channel, value]);
    const records = await this.#records(thread);
    const record = (name: string, rows: Writes["rows"]): Promise<NewRecord> =>
      toRecord(this.serde, name, { path: taskPath, rows } satisfies Writes);
    const replaced = new Map(rows.filter(([place]) => place < 0).map((row) => [`${key}/${-row[0]}`, row]));
    const special = await Promise.all([...replaced].map(([name, row]) => record(name, [row])));
    let [there, condition]: [Writes["rows"], Partial<NewRecord>] = [[], { ifNoneMatch: "*" }];
    for (;;) {
      const added = rows.filter(([place]) => place >= 0 && !there.some(([taken]) => taken === place));
      const regular = added.length > 0 ? [{ ...(await record(key, [...there, ...added])), ...condition }] : [];
      try {
        // Each attempt has a key: a double of this request that arrives late must not take back what is written after it.
        return await records.putAll([...special, ...regular]);
      } catch (error) {
        if (!(error instanceof PreconditionFailedError)) throw error;
      }
      // The task has written before; or this has, and its answer was lost.
      const found = await records.get(key);
      [there, condition] = found
        ? [((await fromRecord(this.serde, found)) as Writes).rows, { ifMatch: found.revision }]
        : [[], { ifNoneMatch: "*" }];
    }
  }

  /** The thread's records are deleted; the conversation, its messages and other records stay, so that the id can be used again. */
  async deleteThread(threadId: string): Promise<void> {
    await (await this.#records(`${threadId}`)).deleteAll(ROOT);
  }

  /** Reads the ancestors page by page, and of their values only those of the channels, where the base class reads each by itself. */
  override async getDeltaChannelHistory(options: { config: Config; channels: string[] }): Promise<Record<string, DeltaChannelHistory>> {
    const cache = new Map<string, CheckpointTuple>();
    const getTuple = async (config: Config): Promise<CheckpointTuple | undefined> => {
      const { thread, ns = "" } = placeOf(config);
      const id = getCheckpointId(config);
      if (thread === undefined || !id) return this.getTuple(config);
      if (!cache.has(id)) {
        // Ids grow with time: ancestors are among those that come before, most often right before.
        const records = await this.#records(thread);
        const { value: rows = [] } = await this.#pages(records, thread, ns, `${id}~`).next();
        for (const tuple of await this.#tuples(records, rows, options.channels)) cache.set(tuple.checkpoint.id, tuple);
      }
      return cache.get(id);
    };
    return super.getDeltaChannelHistory.call({ getTuple } as BaseCheckpointSaver, options);
  }

  async #records(thread: string): Promise<Records> {
    return this.#store.records(await conversationId(thread));
  }

  /** Checkpoints of a namespace, or of all, newest first, from before `bound` on. */
  async *#pages(
    records: Records,
    thread: string | undefined,
    ns: string | undefined,
    bound = "",
    limit = PAGE,
  ): AsyncGenerator<Located[], undefined> {
    const prefix = ns === undefined ? `${ROOT}c` : checkpointKey(ns);
    const after = ns !== undefined && bound ? { after: checkpointKey(ns, bound) } : {};
    for await (const page of records.pages({ prefix, order: "desc", limit, values: true, ...after })) {
      yield await Promise.all(page.map((record) => this.#locate(thread, record)));
    }
  }

  /** Reads what belongs to checkpoints: the values of their channels, and pending writes. */
  async #tuples(records: Records, rows: Located[], channels?: string[]): Promise<CheckpointTuple[]> {
    const wanted = rows.map(({ ns, checkpoint }) =>
      Object.entries(checkpoint.channel_versions).flatMap(([channel, version]): [string, string][] =>
        !channels || channels.includes(channel) ? [[channel, blobKey(ns, channel, version)]] : [],
      ),
    );
    const keys = new Set(wanted.flat().map(([, key]) => key));
    const prefixes = new Set(rows.flatMap((row) => [row.checkpoint.id, sendsOf(row) ?? []].flat().map((id) => writesKey(row.ns, id))));
    const found = await records.getAll([...keys], [...prefixes]);
    return Promise.all(rows.map((row, at) => this.#tuple(row, wanted[at]!, found)));
  }

  async #tuple(row: Located, channels: [string, string][], found: Map<string, StoredRecord>): Promise<CheckpointTuple> {
    const { thread, ns, metadata, parent } = row;
    const there = channels.filter(([, key]) => found.has(key));
    const values = await Promise.all(
      there.map(async ([channel, key]) => [channel, await fromRecord(this.serde, found.get(key)!)] as const),
    );
    const checkpoint: Checkpoint = { ...row.checkpoint, channel_values: Object.fromEntries(values) };
    const sender = sendsOf(row);
    if (sender !== undefined) {
      const sends = (await this.#writes(found, writesKey(ns, sender))).filter(([, channel]) => channel === TASKS);
      const versions = Object.values(checkpoint.channel_versions);
      checkpoint.channel_values[TASKS] = sends.map(([, , value]) => value);
      const version = versions.length > 0 ? maxChannelVersion(...versions) : this.getNextVersion(undefined);
      checkpoint.channel_versions = { ...checkpoint.channel_versions, [TASKS]: version };
    }
    return {
      config: configOf(thread, ns, checkpoint.id),
      checkpoint,
      metadata,
      pendingWrites: await this.#writes(found, writesKey(ns, checkpoint.id)),
      ...(parent !== undefined && { parentConfig: configOf(thread, ns, parent) }),
    };
  }

  async #writes(found: Map<string, StoredRecord>, prefix: string): Promise<CheckpointPendingWrite[]> {
    const load = async (record: StoredRecord) => ({
      task: unpack(record.key.split("/")[3]!),
      ...((await fromRecord(this.serde, record)) as Writes),
    });
    const tasks = await Promise.all([...found.values()].filter(({ key }) => key.startsWith(prefix)).map(load));
    const writes = tasks.flatMap(({ task, path, rows }) => rows.map((row) => ({ by: writesSortKey(path, task, row[0]), task, row })));
    writes.sort((a, b) => compareWritesSortKeys(a.by, b.by));
    return writes.map(({ task, row: [, channel, value] }) => [task, channel, value]);
  }

  async #locate(thread: string | undefined, record: StoredRecord): Promise<Located> {
    const ns = unpack(record.key.slice(`${ROOT}c`.length).split("/")[0]!);
    const row: Row = await fromRecord(this.serde, record);
    return { ...row, thread: thread ?? row.thread!, ns };
  }
}

function placeOf({ configurable = {} }: Config): { thread?: string; ns?: string; id?: string } {
  const { thread_id: thread, checkpoint_ns: ns, checkpoint_id: id } = configurable;
  // Callers in JavaScript give numbers as well.
  return { ...(thread != null && { thread: `${thread}` }), ns, id };
}

const configOf = (thread_id: string, checkpoint_ns: string, checkpoint_id: string): Config => ({
  configurable: { thread_id, checkpoint_ns, checkpoint_id },
});

/** Before version 4 of the format, what a checkpoint is to do next is among the writes of its parent. */
const sendsOf = ({ checkpoint, parent }: Row): string | undefined => (checkpoint.v < 4 ? parent : undefined);
