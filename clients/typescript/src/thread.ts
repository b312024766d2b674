// How a thread of LangGraph is kept in records.
import type { Checkpoint, CheckpointMetadata, SerializerProtocol } from "@langchain/langgraph-checkpoint";

import { deflate, inflate } from "./deflate.js";
import { pack } from "./keys.js";
import type { NewRecord, StoredRecord } from "./records.js";

/** All keys begin with this: a conversation may have other records, and those of the Python checkpointer. */
export const ROOT = "lgjs/";
/** From so many bytes on JSON is compressed. */
const LARGE = 256;
/** Content type of what the serializer did not make JSON of. */
const OTHER = "application/vnd.langgraph.";

/** What the record of a checkpoint has; the values of its channels are records of their own. */
export interface Row {
  checkpoint: Omit<Checkpoint, "channel_values">;
  metadata: CheckpointMetadata;
  parent?: string;
  /** The name of the thread, where the id of the conversation does not tell it. */
  thread?: string;
}

export type Located = Row & { thread: string; ns: string };

/** What a record has of the writes of a task: their places, channels and values. */
export type Writes = { path: string; rows: [place: number, channel: string, value: unknown][] };

export const checkpointKey = (ns: string, id = ""): string => `${ROOT}c${pack(ns)}/${pack(id)}`;
export const blobKey = (ns: string, name: string, version: unknown): string => `${ROOT}b${pack(ns)}/${pack(name)}/${pack(`${version}`)}`;
export const writesKey = (ns: string, id: string, task = ""): string => `${ROOT}w${pack(ns)}/${pack(id)}/${pack(task)}`;

/** A value of LangGraph as a record. JSON has no type of its own: as text it is as it is, as bytes it is compressed. */
export async function toRecord(serde: SerializerProtocol, key: string, value: unknown): Promise<NewRecord> {
  const [type, dumped] = await serde.dumpsTyped(value);
  const bytes = new Uint8Array(dumped);
  if (type !== "json") return { key, value: bytes, contentType: `${OTHER}${type}` };
  return { key, value: bytes.length < LARGE ? new TextDecoder().decode(bytes) : await deflate(bytes) };
}

export async function fromRecord(serde: SerializerProtocol, { contentType, bytes }: StoredRecord): Promise<any> {
  if (contentType.startsWith(OTHER)) return serde.loadsTyped(contentType.slice(OTHER.length), bytes);
  return serde.loadsTyped("json", contentType.startsWith("text/") ? bytes : await inflate(bytes));
}
