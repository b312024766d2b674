import type { components, operations } from "./openapi.js";

type Schemas = components["schemas"];

/** The store keeps fields that it does not know as they are. */
type Open<T> = T & { [field: string]: any };

/** A message to store: of Chat Completions, of the AI SDK, or an item of the OpenAI Conversations API. */
export type NewMessage = Open<
  { id?: string } & (Schemas["ChatMessage"] | Schemas["PartsMessage"] | Schemas["SilentMessage"] | Schemas["TypedItem"])
>;
export type NewItem = NewMessage | Open<{ id: null }>;
export type Message = Open<Schemas["Message"]>;
export type Item = Open<Schemas["Item"]>;
export type Metadata = Schemas["Metadata"];
export type ConversationChange = Schemas["ConversationChange"];
export type HealthReport = Schemas["HealthReport"];

export type Conversation = Schemas["Conversation"];
export type ConversationPage = Schemas["ConversationPage"];
export type ConversationDeleted = Schemas["ConversationDeleted"];
export type ConversationDeletions = Schemas["ConversationDeletions"];

export type OwnerData = Schemas["OwnerData"];
export type OwnerErasure = Schemas["OwnerErasure"];
export type OwnerDeleted = Schemas["OwnerDeleted"];
/** Lines of an export, each the text of a JSON object, and the cursor to the page after them; null at the end. */
export interface ExportPage {
  lines: string[];
  after: string | null;
}

export type NewConversation = Omit<Schemas["NewConversation"], "messages" | "items"> & {
  messages?: NewMessage[] | null;
  items?: NewItem[] | null;
};

/** What an addition answers, with messages that have any fields. */
export type AddedMessages = Omit<Schemas["AddedMessages"], "data"> & { data: Message[] };
export type ReplacedMessages = Omit<Schemas["ReplacedMessages"], "data"> & { data: Message[] };
export type AddedItems = Omit<Schemas["AddedItems"], "data"> & { data: Item[] };
/** `version` is that of the conversation, from the header `ETag`. */
export type MessagePage = Omit<Schemas["MessagePage"], "data"> & { data: Message[]; version: number };
export type ItemPage = Omit<Schemas["ItemPage"], "data"> & { data: Item[]; version: number };

/** The same, where what may be missing may be undefined as well. */
type Loose<Value> = { [Name in keyof Value]: {} extends Pick<Value, Name> ? Value[Name] | undefined : Value[Name] };
type Query<Operation extends keyof operations> = Loose<NonNullable<operations[Operation]["parameters"]["query"]>>;
export type ListConversations = Omit<Query<"listConversations">, "archived"> & {
  /** By default conversations that are archived are left out; with true there are only those, and with "any" both. */
  archived?: boolean | "any" | undefined;
};
/** Which conversations are deleted: it has metadata, `forked_from`, or that they are archived. */
export type ConversationFilter = Pick<ListConversations, "metadata" | "forked_from" | "archived">;
export type GetConversation = Query<"getConversation">;
export type ListMessages = Query<"listMessages">;
export type ListItems = Query<"listItems">;

/** A record of a list: with `values`, `value` if its bytes are UTF-8 and else `base64`. */
export type ListedRecord = Schemas["Record"];
/** A record without its value. */
export type RecordInfo = Omit<ListedRecord, "value" | "base64">;
export type RecordPage = Schemas["RecordPage"];
export type ListRecords = Omit<Query<"listRecords">, "key" | "prefix" | "values"> & {
  /** Only records whose key is one of these, or begins with one of `prefix`. */
  key?: string | string[] | undefined;
  prefix?: string | string[] | undefined;
  values?: boolean | undefined;
};

/** A record to write in a batch, with its value as text or as base64, or to delete. */
export type RecordChange = Schemas["NewRecord"] extends infer Change ? (Change extends unknown ? Loose<Change> : never) : never;
/** A record as it was written. */
export type WrittenRecord = Schemas["StoredRecord"];
export type RecordDeletion = Schemas["DeletedRecordOfBatch"];
export type RecordResult = WrittenRecord | RecordDeletion;
export type RecordResults = Schemas["WrittenRecords"];
export type RecordsDeleted = Schemas["RecordDeletion"];

export type Problem = Schemas["Problem"];
export type ErrorCode = Problem["code"];

export interface RequestOptions {
  signal?: AbortSignal | undefined;
}

export interface ReadOptions extends RequestOptions {
  /** The version (of a record: the revision) that is known: the answer is null if it is still the present one. */
  ifNoneMatch?: number | undefined;
}

/** What a read answers: null only where it was asked whether something changed. */
export type Read<T, O extends ReadOptions> = "ifNoneMatch" extends keyof O ? (O["ifNoneMatch"] extends undefined ? T : T | null) : T;

export interface WriteOptions extends RequestOptions {
  /**
   * Only if this is the version (of a record: the revision), with `*` if it is there, and with 0 if it is not: that is the version of
   * what is not there, in `last` and in errors. Else `PreconditionFailedError`.
   */
  ifMatch?: number | "*" | undefined;
  /** Only if it is not there. */
  ifNoneMatch?: "*" | undefined;
  /** By default a new one for each call. Give your own for a write that may be repeated by another process; null sends none. */
  idempotencyKey?: string | null | undefined;
}

export interface MessageWriteOptions extends WriteOptions {
  /** Records to write in the same commit. */
  records?: RecordChange[] | undefined;
}
