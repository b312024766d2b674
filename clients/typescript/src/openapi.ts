// Generated from infra/openapi.yaml by `npm run generate`. Do not edit.

/** The version of the contract that this client was made for. */
export const CONTRACT_VERSION: string = "0.1.0";

export interface paths {
    "/v1/conversations": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        /**
         * List conversations
         * @description Lists an owner's conversations by their last change, newest first, always from Postgres.
         */
        get: operations["listConversations"];
        put?: never;
        /**
         * Create a conversation
         * @description Creates a conversation, optionally with its first messages, as `messages` or as `items`, not both. With `fork_of` it begins as a copy of another conversation of the same owner, in one commit. The id of a deleted conversation cannot be used again. Without a body, or with null, it is empty.
         */
        post: operations["createConversation"];
        /**
         * Delete the conversations of a filter
         * @description Deletes the conversations that the list has for the same `metadata[key]=value`, `forked_from` and `archived`, of which at least one pair of metadata, `forked_from` or `archived=true` is required. Without `dry_run=false` it only counts them. One request deletes up to 1,000 of them, each as by itself, and only if it has not changed since it was found; if there are more, `has_more` is true: send it again. An error may come when some are deleted already; the same request goes on with the others.
         */
        delete: operations["deleteConversations"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/conversations/{conversation_id}": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        /** Read a conversation */
        get: operations["getConversation"];
        put?: never;
        /**
         * Change a conversation
         * @description Changes its title, its metadata, whether it is archived, and when it expires. Fields that the body does not name are unchanged.
         */
        post: operations["updateConversation"];
        /**
         * Delete a conversation
         * @description Deletes a conversation and its messages from both stores, at once for every reader. Only deletions of conversations and items, the replacement of messages and the erasure of the owner's data need Redis: without Redis they are a 503, and nothing is deleted.
         */
        delete: operations["deleteConversation"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/conversations/{conversation_id}/messages": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        /**
         * Read recent messages, or page through the history
         * @description Returns the last messages in chronological order; with `before` or `after`, those next to a position, from Postgres.
         */
        get: operations["listMessages"];
        /**
         * Replace the last messages
         * @description Deletes all messages after a position and adds 0 to 100 others, in one commit: an edit, a compaction, taking back the last messages, or with `after=0` and no messages a clearing. Positions are not given out again, and the ids of deleted messages stay known; an id of a message that is replaced may be used for a new one. Without `If-Match` and `Idempotency-Key`, messages with your own ids that follow the position already are a retry, which changes nothing. Like a deletion it needs Redis.
         */
        put: operations["replaceMessages"];
        /**
         * Add messages
         * @description Adds one message, or 1 to 100 as `{"messages": [...]}`, all or none. Creates the conversation if it is new. Re-sending a message with the same id and body returns the stored message.
         */
        post: operations["addMessages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/conversations/{conversation_id}/items": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        /**
         * List items
         * @description Lists the items of a conversation, newest first. Only the first page, newest first, can come from Redis.
         */
        get: operations["listItems"];
        put?: never;
        /**
         * Add items
         * @description Adds 1 to 20 items, all or none, to an existing conversation. Query parameters of the SDKs, like `include`, are ignored.
         */
        post: operations["addItems"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/conversations/{conversation_id}/items/{item_id}": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
                /**
                 * @description The id of an item, or of the message that it is.
                 * @example msg-2
                 */
                item_id: components["parameters"]["ItemId"];
            };
            cookie?: never;
        };
        /** Read one item */
        get: operations["getItem"];
        put?: never;
        post?: never;
        /**
         * Delete one item
         * @description Deletes one item, which is one message, from both stores. Other messages keep their positions. Done again, it answers the same. An item that is a part of a message is not deleted by itself.
         */
        delete: operations["deleteItem"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/conversations/{conversation_id}/records": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        /**
         * List a conversation's records
         * @description Lists records in the order of the bytes of their keys, with their values if asked: those whose key is one of `key` or begins with one of `prefix`, or all. Of a conversation that does not exist there are none.
         */
        get: operations["listRecords"];
        put?: never;
        /**
         * Write several of a conversation's records
         * @description Stores and deletes up to 100 records in one commit, all or none. Creates the conversation if a record is stored and it is new.
         */
        post: operations["writeRecords"];
        /**
         * Delete a conversation's records by the beginning of their keys
         * @description Deletes the records whose keys begin with `prefix`, up to 100,000 or 32 MiB of them in one commit. If there are more, `has_more` is true: send it again, under another `Idempotency-Key`.
         */
        delete: operations["deleteRecords"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/conversations/{conversation_id}/records/{key}": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        /**
         * Read a record of a conversation
         * @description Returns the value, to the byte, with the content type that it was stored with.
         */
        get: operations["getRecord"];
        /**
         * Store a record of a conversation
         * @description Stores a value: any bytes up to 4 MiB, with their `content-type`. Creates the conversation if it is new.
         */
        put: operations["putRecord"];
        post?: never;
        /** Delete a record of a conversation */
        delete: operations["deleteRecord"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/records": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        /**
         * List the owner's own records
         * @description Lists records in the order of the bytes of their keys, with their values if asked: those whose key is one of `key` or begins with one of `prefix`, or all.
         */
        get: operations["listOwnRecords"];
        put?: never;
        /**
         * Write several of the owner's own records
         * @description Stores and deletes up to 100 records in one commit, all or none.
         */
        post: operations["writeOwnRecords"];
        /**
         * Delete the owner's own records by the beginning of their keys
         * @description Deletes the records whose keys begin with `prefix`, up to 100,000 or 32 MiB of them in one commit. If there are more, `has_more` is true: send it again, under another `Idempotency-Key`.
         */
        delete: operations["deleteOwnRecords"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/records/{key}": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        /**
         * Read a record of the owner
         * @description Returns the value, to the byte, with the content type that it was stored with.
         */
        get: operations["getOwnRecord"];
        /**
         * Store a record of the owner
         * @description Stores a value: any bytes up to 4 MiB, with their `content-type`.
         */
        put: operations["putOwnRecord"];
        post?: never;
        /** Delete a record of the owner */
        delete: operations["deleteOwnRecord"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/owner": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        /**
         * Read how much the caller has
         * @description Counts what the caller has, always in Postgres, which reads all of it; and returns the last erasure of the owner's data, with how far it has come.
         */
        get: operations["owner"];
        put?: never;
        post?: never;
        /**
         * Erase everything that the caller has
         * @description Erases all conversations with their messages and records, and the owner's own records. When it is answered, nobody can read anything of what the caller had; then the store removes it from both stores. `GET /v1/owner` says how far it has come. Ids of conversations that were erased are not used again; new ones may be created under others. Sent again, it erases what has come since. Like a deletion it needs Redis.
         */
        delete: operations["deleteOwner"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/owner/export": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        /**
         * Export everything that the caller has
         * @description Returns lines of JSON as `conversation-store export` writes them and `import` takes them, as many as a response holds. Their `record` is `owner`, `conversation`, `message` or `record`. The header `Link` has the next page, for as long as there is one. Each page is one snapshot, and a valid input of `import` by itself: a page that goes on with a conversation begins with the conversation's line, whose `message_count` and `record_count` are those of the page. Together the pages have everything that was acknowledged before the first of them was requested, unless it was deleted meanwhile.
         */
        get: operations["exportOwner"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check the health
         * @description Confirms that the function runs; with `deep=1`, checks both stores. Without Redis the status is `degraded`; without Postgres the response is a 503. It requires no owner.
         */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description 1 to 128 visible ASCII characters other than ``/ ? # % \ { } < > " ' & ` ``, and not only dots. In a path it may be percent-encoded. */
        Id: string;
        /** @description A message's id; or of an item that is a part of a message, or of another type than the message, an id that follows from the message's: OpenAI's prefix for the type, the message's id, and the item's place. */
        ItemId: string;
        /** @description Up to 16 pairs of strings, keys to 64 characters and values to 512, without U+0000. */
        Metadata: {
            [key: string]: string;
        };
        /** @description Up to 512 characters, without U+0000. */
        Title: string;
        NewConversation: {
            /** @description Your own id; without it the store creates one, `conv_` and a UUIDv7. */
            id?: components["schemas"]["Id"] | null;
            title?: components["schemas"]["Title"] | null;
            metadata?: components["schemas"]["Metadata"] | null;
            /** @description Whether lists leave it out unless they are asked for it; null means false. */
            archived?: boolean | null;
            /** @description After how many seconds without a change it expires; null, by itself never. */
            expires_after?: number | null;
            /** @description The first messages. Excludes `items`. */
            messages?: components["schemas"]["NewMessage"][] | null;
            /** @description The first items. Excludes `messages`. */
            items?: components["schemas"]["NewItem"][] | null;
            /** @description The conversation of which this one begins as a copy. Messages keep their ids and positions; title, metadata and `expires_after` are copied unless they are given here. */
            fork_of?: components["schemas"]["Id"] | null;
            /**
             * Format: int64
             * @description The last position that is copied; by default the last one. At most 10,000 messages are copied, or 16 MiB as they are stored.
             */
            at?: number | null;
            /** @description The beginning of the keys of the records that are copied; by default all are, at the revisions that they have. At most 100,000 records are copied, or 64 MiB of them as they are stored. */
            records_prefix?: string | null;
            /** @description Records that are written in the same commit, each key once. */
            records?: components["schemas"]["NewRecord"][] | null;
        };
        ConversationChange: {
            /** @description The new title; null removes it. */
            title?: components["schemas"]["Title"] | null;
            /** @description The new metadata, which replaces the old; null removes all. */
            metadata?: components["schemas"]["Metadata"] | null;
            /** @description Whether lists leave it out unless they are asked for it; null means false. */
            archived?: boolean | null;
            /** @description After how many seconds without a change it expires; null removes it. */
            expires_after?: number | null;
        };
        Conversation: {
            id: components["schemas"]["Id"];
            /** @constant */
            object: "conversation";
            title: components["schemas"]["Title"] | null;
            metadata: components["schemas"]["Metadata"];
            /** @description Number of messages. */
            message_count: number;
            /** @description Number of changes so far; compared with `min_version`. */
            version: number;
            created_at: components["schemas"]["Time"];
            /** @description Time of the last change of any kind; lists are ordered by it. */
            updated_at: components["schemas"]["Time"];
            /** @description Time of the last added message; null before the first. */
            last_message_at: number | null;
            /** @description The conversation of which this one began as a copy; null if it did not. */
            forked_from: components["schemas"]["IdOrNull"];
            /** @description The last position that was copied. */
            forked_at: number | null;
            /** @description Whether lists leave it out unless they are asked for it. */
            archived: boolean;
            /** @description After how many seconds without a change it expires; null, by itself never. */
            expires_after: number | null;
            /** @description The time at which it expires if nothing changes: after `expires_after`, or after the deployment's `RETENTION_DAYS` if that is shorter. Null if it does not expire. */
            expires_at: number | null;
        };
        ConversationDeleted: {
            id: components["schemas"]["Id"];
            /** @constant */
            object: "conversation.deleted";
            /** @constant */
            deleted: true;
        };
        ConversationDeletions: {
            /** @constant */
            object: "conversation.deletions";
            /** @description Whether they were only counted. */
            dry_run: boolean;
            /** @description How many conversations were found, up to 1,000. */
            matched: number;
            /** @description How many of them were deleted, those that had not changed since they were found; 0 of a dry run. */
            deleted: number;
            /** @description Whether there are more. */
            has_more: boolean;
        };
        ConversationPage: {
            /** @constant */
            object: "list";
            data: components["schemas"]["Conversation"][];
            first_id: components["schemas"]["IdOrNull"];
            last_id: components["schemas"]["IdOrNull"];
            /** @description Whether there are more in the direction of the page. */
            has_more: boolean;
            /** @description The cursor to the page before this one; null at the beginning. */
            before: string | null;
            /** @description The cursor to the page after this one; null at the end. */
            after: string | null;
        };
        /** @description One message, or several under `messages`. */
        NewMessages: components["schemas"]["SingleMessage"] | components["schemas"]["MessageBatch"];
        /** @description A message. It has no field `messages`, which would make it a batch. */
        SingleMessage: components["schemas"]["NewMessage"] & {
            messages?: null;
        };
        /** @description Messages that are stored together or not at all. Their ids are unique. */
        MessageBatch: {
            messages: components["schemas"]["NewMessage"][];
            records?: components["schemas"]["RecordsWithMessages"];
        };
        /** @description A message of Chat Completions or of the AI SDK (`UIMessage`), or an item of the OpenAI Conversations API. Unknown fields are kept as they are, with key order and number spelling; a string may have unpaired surrogates. No key that the store reads may be repeated. The store assigns `seq` and `created_at`; beside an `id` they are ignored, so that what was read can be put back. */
        NewMessage: {
            id?: components["schemas"]["Id"];
        } | components["schemas"]["ChatMessage"] | components["schemas"]["PartsMessage"] | components["schemas"]["SilentMessage"] | components["schemas"]["TypedItem"];
        /** @description Like a new message; an `id` of null is none. */
        NewItem: {
            id?: components["schemas"]["Id"] | null;
        } | components["schemas"]["ChatMessage"] | components["schemas"]["PartsMessage"] | components["schemas"]["SilentMessage"] | components["schemas"]["TypedItem"];
        /** @description A message with content. */
        ChatMessage: {
            role: components["schemas"]["Role"];
            content: components["schemas"]["Content"];
            name?: string | null;
            tool_calls?: components["schemas"]["ToolCalls"];
            /** @description In a tool's message: the id of the call that it answers. */
            tool_call_id?: string | null;
            metadata?: Record<string, unknown> | null;
        };
        /** @description A message of the AI SDK, whose content stands in `parts`. */
        PartsMessage: {
            role: components["schemas"]["Role"];
            content?: null;
            parts: {
                type: string;
            }[];
            name?: string | null;
            tool_calls?: components["schemas"]["ToolCalls"];
            tool_call_id?: string | null;
            /** @description Whatever the application takes it for. */
            metadata?: unknown;
        };
        /** @description A message without content: an assistant's, most often with tool calls, a refusal, reasoning or audio; or a function that returned nothing. */
        SilentMessage: {
            /** @enum {unknown} */
            role: "assistant" | "ai" | "function";
            content?: null;
            parts?: null;
            name?: string | null;
            tool_calls?: components["schemas"]["ToolCalls"];
            tool_call_id?: string | null;
            metadata?: Record<string, unknown> | null;
        };
        /** @description An item with a `type`: `function_call`, `function_call_output`, `reasoning` ... If it also has a `role`, the rules of messages apply to the fields that the store reads, and it has no content. */
        TypedItem: {
            type: string;
        } | {
            role?: null;
        } | {
            role: components["schemas"]["Role"];
            content?: null;
            parts?: null;
            name?: string | null;
            tool_calls?: null;
            tool_call_id?: string | null;
            metadata?: Record<string, unknown> | null;
            function_call?: null;
            refusal?: null;
            audio?: null;
        };
        /**
         * @description The author. `human` and `ai` are synonyms of `user` and `assistant`; `function` came before `tool`.
         * @enum {string}
         */
        Role: "system" | "developer" | "user" | "assistant" | "tool" | "function" | "human" | "ai";
        /** @description Text, or parts. */
        Content: string | {
            type: string;
        }[];
        ToolCalls: Record<string, unknown>[] | null;
        /** @description A stored message: the client's JSON to the byte, preceded by `seq`, `created_at` and, if the client sent no id, `id`. */
        Message: {
            /** @description The client's id, or one from the store: `msg_`, or OpenAI's prefix for the item's type, and a UUIDv7. */
            id: components["schemas"]["Id"];
            /** @description The position in the conversation, from 1. A deleted message leaves its position unused. */
            seq: number;
            created_at: components["schemas"]["Time"];
        };
        AddedMessages: {
            /** @constant */
            object: "list";
            /** @description The conversation's id. */
            id: components["schemas"]["Id"];
            /** @description The conversation's version after the change. */
            version: number;
            /** @description The messages as they are stored. Of a request that was done before, under its `Idempotency-Key`, those that were not deleted since. */
            data: components["schemas"]["Message"][];
            first_id: components["schemas"]["IdOrNull"];
            last_id: components["schemas"]["IdOrNull"];
            /** @constant */
            has_more: false;
            /** @description What was done of the records of the request, in its order. Missing where all of its messages were stored before, by another request; then no record was written. */
            records?: components["schemas"]["WrittenRecord"][];
        };
        Replacement: {
            /** @description The new messages, which come after the position. */
            messages: components["schemas"]["NewMessage"][];
            records?: components["schemas"]["RecordsWithMessages"];
        };
        ReplacedMessages: {
            /** @constant */
            object: "list";
            /** @description The conversation's id. */
            id: components["schemas"]["Id"];
            /** @description The conversation's version after the change. */
            version: number;
            /** @description How many messages were deleted. */
            deleted: number;
            /** @description The new messages as they are stored. Of a request that was done before, under its `Idempotency-Key`, those that were not deleted since. */
            data: components["schemas"]["Message"][];
            first_id: components["schemas"]["IdOrNull"];
            last_id: components["schemas"]["IdOrNull"];
            /** @constant */
            has_more: false;
            /** @description What was done of the records of the request, in its order. Missing where all of its messages were stored before, by another request; then no record was written. */
            records?: components["schemas"]["WrittenRecord"][];
        };
        MessagePage: {
            /** @constant */
            object: "list";
            data: components["schemas"]["Message"][];
            first_id: components["schemas"]["IdOrNull"];
            last_id: components["schemas"]["IdOrNull"];
            /** @description Whether there are more in the direction of the page; without `before` and `after`, older ones. */
            has_more: boolean;
            /** @description The position for older messages; null if there are none. */
            before: number | null;
            /** @description The position for newer messages, also where there are none yet. */
            after: number;
        };
        NewItems: {
            /** @description Ids are unique. */
            items: components["schemas"]["NewItem"][];
        };
        /** @description A message, or a part of one, as an item. An item is returned with the fields it was sent with, an `id` and, where the SDKs expect one, a `status`. A message of Chat Completions or of the AI SDK reads as the items that say the same: a `message` with its content as parts, a `function_call` or `custom_tool_call` for each call, and the matching output for each result. */
        Item: {
            id: components["schemas"]["ItemId"];
            type: string;
        };
        AddedItems: {
            /** @constant */
            object: "list";
            data: components["schemas"]["Item"][];
            first_id: components["schemas"]["ItemIdOrNull"];
            last_id: components["schemas"]["ItemIdOrNull"];
            /** @description Whether some of the items did not fit into the response; all are stored. */
            has_more: boolean;
            /** @description The conversation's version after the change. */
            version: number;
        };
        ItemPage: {
            /** @constant */
            object: "list";
            data: components["schemas"]["Item"][];
            first_id: components["schemas"]["ItemIdOrNull"];
            /** @description The value of `after` for the next page. */
            last_id: components["schemas"]["ItemIdOrNull"];
            /** @description Whether there are more in that order. */
            has_more: boolean;
        };
        /** @description 1 to 512 bytes of text, without U+0000. */
        RecordKey: string;
        /**
         * Format: int64
         * @description Grows with every write to records of the same conversation or owner, and is never given twice.
         */
        Revision: number;
        /** @description A record to store, with its value as text or as base64, or to delete. */
        NewRecord: components["schemas"]["RecordOfText"] | components["schemas"]["RecordOfBytes"] | components["schemas"]["DeletedRecord"];
        RecordOfText: {
            key: components["schemas"]["RecordKey"];
            /** @description The text, which is stored in UTF-8. */
            value: string;
            /** @description What the text is, by default `text/plain; charset=utf-8`. */
            content_type?: components["schemas"]["ContentType"];
            if_match?: components["schemas"]["IfMatchOfRecord"];
            if_none_match?: components["schemas"]["IfNoneMatchOfRecord"];
        };
        RecordOfBytes: {
            key: components["schemas"]["RecordKey"];
            /** @description The bytes in base64, with padding. */
            base64: string;
            /** @description What the bytes are, by default `application/octet-stream`. */
            content_type?: components["schemas"]["ContentType"];
            if_match?: components["schemas"]["IfMatchOfRecord"];
            if_none_match?: components["schemas"]["IfNoneMatchOfRecord"];
        };
        DeletedRecord: {
            key: components["schemas"]["RecordKey"];
            /** @constant */
            delete: true;
            if_match?: components["schemas"]["IfMatchOfRecord"];
            if_none_match?: components["schemas"]["IfNoneMatchOfRecord"];
        };
        ContentType: string;
        /** @description The revision that the record must have, or `*` if any will do. */
        IfMatchOfRecord: components["schemas"]["Revision"] | "*";
        /**
         * @description `*`: there must be no such record.
         * @constant
         */
        IfNoneMatchOfRecord: "*";
        RecordBatch: {
            /** @description Each key stands once. */
            records: components["schemas"]["NewRecord"][];
        };
        /** @description Records that are written in the same commit, each key once. Where all messages were stored before, none is written. */
        RecordsWithMessages: components["schemas"]["NewRecord"][];
        StoredRecord: {
            /** @constant */
            object: "record";
            key: components["schemas"]["RecordKey"];
            revision: components["schemas"]["Revision"];
            /** @description The length of the value that was sent, in bytes. */
            size: number;
            content_type: string;
        };
        DeletedRecordOfBatch: {
            /** @constant */
            object: "record.deletion";
            key: components["schemas"]["RecordKey"];
            /**
             * @description 1, or 0 where there was no such record.
             * @enum {unknown}
             */
            deleted: 0 | 1;
        };
        WrittenRecord: components["schemas"]["StoredRecord"] | components["schemas"]["DeletedRecordOfBatch"];
        WrittenRecords: {
            /** @constant */
            object: "list";
            data: components["schemas"]["WrittenRecord"][];
            /** @constant */
            has_more: false;
        };
        RecordDeletion: {
            /** @constant */
            object: "record.deletion";
            deleted: number;
            /** @description Whether there are more records with this prefix. */
            has_more: boolean;
        };
        Record: {
            /** @constant */
            object: "record";
            key: components["schemas"]["RecordKey"];
            revision: components["schemas"]["Revision"];
            /** @description The length of the value, in bytes. */
            size: number;
            content_type: string;
            updated_at: components["schemas"]["Time"];
            /** @description The value, where it was asked for and is text in UTF-8. */
            value?: string;
            /** @description The value otherwise, and where as text it would not fit into a response. */
            base64?: string;
        };
        RecordPage: {
            /** @constant */
            object: "list";
            data: components["schemas"]["Record"][];
            /** @description The key of the first record. */
            first_id: string | null;
            /** @description The key of the last record, for `after`. */
            last_id: string | null;
            has_more: boolean;
        };
        OwnerData: {
            /** @constant */
            object: "owner";
            /**
             * Format: int64
             * @description Number of conversations, archived ones included.
             */
            conversations: number;
            /**
             * Format: int64
             * @description Number of messages.
             */
            messages: number;
            /**
             * Format: int64
             * @description Number of records, of conversations and the owner's own.
             */
            records: number;
            /**
             * Format: int64
             * @description How many bytes messages and values of records take as they are stored.
             */
            bytes: number;
            /** @description The last erasure of the owner's data; null if there was none. */
            erasure: components["schemas"]["OwnerErasure"] | null;
        };
        /** @description An erasure of everything that an owner had, and how far it has come. It has nothing of what was erased. */
        OwnerErasure: {
            /** @constant */
            object: "owner.erasure";
            /** @description Its id. */
            id: string;
            /** @description The owner, as logs have it: the first 16 hexadecimal digits of the SHA-256 of its id. */
            owner_hash: string;
            /** @description The shard of the owner's rows. */
            shard: number;
            /** @description Who requested it: `owner`, or the name of an operator. */
            requested_by: string;
            requested_at: components["schemas"]["Time"];
            /** @description Since when nobody can read any of it; null as long as some can be read. */
            hidden_at: number | null;
            /** @description Since when nothing of it is left in either store; null as long as something is. */
            completed_at: number | null;
            /**
             * Format: int64
             * @description How many conversations it covers, deleted ones included.
             */
            conversations: number;
            /**
             * Format: int64
             * @description How many messages were removed so far.
             */
            messages: number;
            /**
             * Format: int64
             * @description How many records were removed so far.
             */
            records: number;
            /**
             * Format: int64
             * @description How many conversations are still to be removed; the owner's own records count as one more.
             */
            remaining: number;
        };
        OwnerDeleted: {
            /** @constant */
            object: "owner.deleted";
            /** @constant */
            deleted: true;
            erasure: components["schemas"]["OwnerErasure"];
        };
        HealthReport: {
            /** @description The version of this contract. */
            version: string;
            /**
             * @description `degraded`: it works without Redis.
             * @enum {unknown}
             */
            status: "ok" | "degraded";
            /** @constant */
            postgres?: "ok";
            /** @enum {unknown} */
            redis?: "ok" | "unreachable";
        };
        ItemIdOrNull: components["schemas"]["ItemId"] | null;
        IdOrNull: components["schemas"]["Id"] | null;
        /** @description Unix seconds. */
        Time: number;
        Error: {
            error: components["schemas"]["Problem"];
        };
        /** @description An error. */
        Problem: {
            /** @description What is wrong, and how to correct it. */
            message: string;
            /** @enum {unknown} */
            type: "invalid_request_error" | "authentication_error" | "not_found_error" | "conflict_error" | "server_error";
            /** @description The path to the value, like `messages[3].role`; null if the error concerns no value. */
            param: string | null;
            /** @enum {unknown} */
            code: "cache_moving" | "cache_unavailable" | "conversation_deleted" | "conversation_exists" | "conversation_not_found" | "duplicate_key" | "empty" | "erasure_underway" | "fork_too_large" | "idempotency_conflict" | "internal_error" | "invalid_content_type" | "invalid_cursor" | "invalid_etag" | "invalid_id" | "invalid_idempotency_key" | "invalid_json" | "invalid_key" | "invalid_owner" | "invalid_parameter" | "invalid_request" | "invalid_type" | "invalid_value" | "item_not_found" | "message_conflict" | "message_deleted" | "message_not_found" | "message_too_large" | "method_not_allowed" | "missing" | "missing_filter" | "out_of_range" | "outcome_unknown" | "part_of_message" | "record_conflict" | "record_not_found" | "record_too_large" | "repeated_id" | "repeated_key" | "request_too_large" | "reserved" | "revision_mismatch" | "too_deep" | "too_long" | "too_many" | "unauthenticated" | "unavailable" | "unknown_role" | "unknown_url" | "unsupported_content_encoding" | "unsupported_media_type" | "version_ahead" | "version_mismatch";
            /** @description With `version_mismatch`, the version of the conversation; 0 if there is none. */
            version?: number;
            /** @description With `revision_mismatch`, the revision of the record; 0 if there is none. */
            revision?: number;
        };
    };
    responses: {
        /** @description The conversation still has a version of `If-None-Match`. The response has no body; where the conversation is cached, no message is read. */
        NotModified: {
            headers: {
                ETag: components["headers"]["ETag"];
                "Cache-Status": components["headers"]["CacheStatusOfRead"];
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description The body breaks a rule. */
        BadConversation: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The id or the body breaks a rule. */
        BadMessages: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The id or the body breaks a rule. */
        BadItems: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The id or a parameter breaks a rule. */
        BadRead: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description An id breaks a rule. */
        BadId: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The owner breaks a rule. */
        BadOwner: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The caller names no owner. */
        Unauthenticated: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The owner has no such conversation, or it was deleted or has expired. */
        NoConversation: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description There is no such item, or no such conversation. */
        NoItem: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description `min_version` is above the stored version: it belongs to another conversation, or a backup was restored. */
        VersionAhead: {
            headers: {
                "x-should-retry": components["headers"]["ShouldRetry"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The conversation is not at the version of `If-Match`, or with `If-None-Match` it is there. Nothing was stored. */
        VersionMismatch: {
            headers: {
                ETag: components["headers"]["ETagIfThere"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description A page of records. */
        RecordPage: {
            headers: {
                "Cache-Status": components["headers"]["CacheStatusOfRead"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "object": "list",
                 *       "data": [
                 *         {
                 *           "object": "record",
                 *           "key": "agent/state",
                 *           "revision": 1,
                 *           "size": 13,
                 *           "content_type": "application/json",
                 *           "updated_at": 1767225600,
                 *           "value": "{\"step\": \"1\"}"
                 *         }
                 *       ],
                 *       "first_id": "agent/state",
                 *       "last_id": "agent/state",
                 *       "has_more": false
                 *     }
                 */
                "application/json": components["schemas"]["RecordPage"];
            };
        };
        /** @description What was done, in the order given. */
        WrittenRecords: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "object": "list",
                 *       "data": [
                 *         {
                 *           "object": "record",
                 *           "key": "agent/state",
                 *           "revision": 2,
                 *           "size": 13,
                 *           "content_type": "application/json"
                 *         },
                 *         {
                 *           "object": "record.deletion",
                 *           "key": "agent/stream",
                 *           "deleted": 0
                 *         }
                 *       ],
                 *       "has_more": false
                 *     }
                 */
                "application/json": components["schemas"]["WrittenRecords"];
            };
        };
        /** @description The record as it is stored now, without its value. */
        StoredRecord: {
            headers: {
                ETag: components["headers"]["ETagOfRecord"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "object": "record",
                 *       "key": "agent/state",
                 *       "revision": 2,
                 *       "size": 12,
                 *       "content_type": "application/json"
                 *     }
                 */
                "application/json": components["schemas"]["StoredRecord"];
            };
        };
        /** @description How many records were deleted. */
        RecordDeletion: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "object": "record.deletion",
                 *       "deleted": 1,
                 *       "has_more": false
                 *     }
                 */
                "application/json": components["schemas"]["RecordDeletion"];
            };
        };
        /** @description The value, with its content type. */
        RecordValue: {
            headers: {
                ETag: components["headers"]["ETagOfRecord"];
                "Cache-Status": components["headers"]["CacheStatusOfRead"];
                [name: string]: unknown;
            };
            content: {
                "*/*": unknown;
            };
        };
        /** @description The record still has a revision of `If-None-Match`. The response has no body. */
        RecordNotModified: {
            headers: {
                ETag: components["headers"]["ETagOfRecord"];
                "Cache-Status": components["headers"]["CacheStatusOfRead"];
                [name: string]: unknown;
            };
            content?: never;
        };
        /** @description The id or the body breaks a rule. */
        BadRecords: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The body breaks a rule. */
        BadOwnRecords: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description An id, a key or a parameter breaks a rule. */
        BadRecordRead: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description A key or a parameter breaks a rule. */
        BadOwnRecordRead: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The conversation was deleted, or the `Idempotency-Key` was used for another request. */
        RecordsConflict: {
            headers: {
                "x-should-retry": components["headers"]["ShouldRetry"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The `Idempotency-Key` was used for another request. */
        KeyConflict: {
            headers: {
                "x-should-retry": components["headers"]["ShouldRetry"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The record has not the revision of `If-Match`, or with `If-None-Match` it is there. Nothing was stored. */
        RevisionMismatch: {
            headers: {
                ETag: components["headers"]["ETagOfRecordIfThere"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The record has not the revision of `If-Match`, or with `If-None-Match` it is there. Nothing was stored. */
        OwnRevisionMismatch: {
            headers: {
                ETag: components["headers"]["ETagOfRecordIfThere"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description A record has not the revision that its write depends on. Nothing was stored. */
        RevisionMismatchOfBatch: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description A record has not the revision that its write depends on. Nothing was stored. */
        OwnRevisionMismatchOfBatch: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description There is no such record, or no such conversation. */
        NoRecord: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The owner has no such record. */
        NoOwnRecord: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The request is too large, or a value is larger than this deployment takes. */
        RecordTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The value is larger than 4 MiB, or than this deployment takes. */
        PutTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The value is larger than the front end takes as a response: a load balancer takes 1 MB. */
        ValueTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The body is encoded. */
        EncodedBody: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The request or one of its messages is too large. */
        TooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description The body is not declared to be JSON, or is encoded. */
        NotJson: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description A defect. Only the log has the reason. */
        InternalError: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description Postgres is unreachable, or the connection was lost before it confirmed a write; or a deployment is moving to another cache. */
        Unavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                "x-should-retry": components["headers"]["ShouldRetry"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description Postgres is unreachable, or the connection was lost before it confirmed a write; or a deployment is moving to another cache; or an erasure is hiding the data of the owner, and no conversation is created meanwhile. */
        UnavailableForCreation: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                "x-should-retry": components["headers"]["ShouldRetry"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description One of the stores is unreachable, the connection to Postgres was lost before it confirmed the deletion, or a deployment is moving to another cache. */
        UnavailableForDeletion: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                "x-should-retry": components["headers"]["ShouldRetry"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
        /** @description One of the stores is unreachable, the connection to Postgres was lost before it confirmed a step, or a deployment is moving to another cache. With `cache_unavailable` nothing has changed. With `erasure_underway` some of the data can still be read; the store goes on with the erasure, and the same request, sent again, waits for it. */
        UnavailableForErasure: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                "x-should-retry": components["headers"]["ShouldRetry"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["Error"];
            };
        };
    };
    parameters: {
        /**
         * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
         * @example ann
         */
        Owner: string;
        /**
         * @description The id of one of the owner's conversations.
         * @example trip-to-lisbon
         */
        ConversationId: components["schemas"]["Id"];
        /**
         * @description The id of an item, or of the message that it is.
         * @example msg-2
         */
        ItemId: components["schemas"]["ItemId"];
        /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
        IdempotencyKey: string;
        /** @description `metadata[key]=value`: only conversations whose metadata has this pair; with several, only those that have all. A key that contains `][` cannot be filtered by, since that denotes nesting. */
        MetadataFilter: {
            [key: string]: string;
        };
        /** @description Only the forks of this conversation, whether or not it still exists. */
        ForkedFrom: components["schemas"]["Id"];
        /** @description `false` leaves out conversations that are archived, `true` has only those, and `any` has both. */
        Archived: "false" | "true" | "any";
        /**
         * @description `false` leaves out conversations that are archived, `true` has only those, and `any` has both.
         * @example true
         */
        ArchivedOfDeletion: "false" | "true" | "any";
        /** @description `true` only counts the conversations, `false` deletes them. */
        DryRun: boolean;
        /**
         * @description The `ETag` of an earlier response. If nothing changed since, the response is a 304 without a body.
         * @example "2"
         */
        IfNoneMatch: string;
        /** @description The `ETag` of the version that the write is to change, or `*` if any will do: if the conversation is at another version, nothing is stored, and the response is a 412; if it is not there, a 404, or where messages are added, which would create it, a 412 with version 0. What was done before is answered first: a retry of a write that succeeded is no conflict. Excludes `If-None-Match`. */
        IfMatch: string;
        /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
        IfNoneMatchStar: "*";
        /**
         * @description The `version` that an earlier write or read returned: the response is at least as new. A version above the stored one is a 409.
         * @example 1
         */
        MinVersion: number;
        /**
         * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
         * @example agent/state
         */
        RecordKey: components["schemas"]["RecordKey"] & unknown;
        /** @description A record to list. It may stand several times; with `prefix` together 1,000 times, and within the length of a URL that the front end takes. */
        RecordKeys: components["schemas"]["RecordKey"][];
        /** @description The beginning of the keys of records to list. It may stand several times. */
        RecordPrefixes: string[];
        /**
         * @description The beginning of the keys of the records to delete. With an empty one all are deleted.
         * @example agent/
         */
        RecordPrefix: string;
        /** @description A key, to list what comes behind it in the order of the list. There need not be such a record. */
        AfterRecord: string;
        /** @description `asc` is the order of the bytes of the keys, `desc` its reverse. */
        RecordOrder: "asc" | "desc";
        /** @description Maximum number of records in the page. */
        LimitOfRecords: number;
        /**
         * @description Whether the values are listed as well. A page ends early, with `has_more`, where the response would be too large.
         * @example true
         */
        WithValues: boolean;
        /** @description The `ETag` of an earlier response. If the record has still this revision, the response is a 304 without a body, and the value is not read. */
        IfNoneMatchRevision: string;
        /** @description The `ETag` of the record that the write is to replace, or `*` if any will do: if it has another revision, or is not there, nothing is stored, and the response is a 412. A retry of a write that succeeded is one as well, unless it has an `Idempotency-Key`. Excludes `If-None-Match`. */
        IfMatchRevision: string;
        /** @description `*`: the write is done only if there is no such record. Excludes `If-Match`. */
        IfNoneMatchStarRecord: "*";
        /**
         * @description Maximum number of entries in the page.
         * @example 10
         */
        LimitOfList: number;
        /**
         * @description `desc` is newest first.
         * @example desc
         */
        Order: "asc" | "desc";
    };
    requestBodies: {
        Records: {
            content: {
                "application/json": components["schemas"]["RecordBatch"];
            };
        };
        Value: {
            content: {
                "application/json": unknown;
                "application/octet-stream": unknown;
            };
        };
    };
    headers: {
        /**
         * @description The version of the conversation, in quotes. With it as `If-None-Match`, the same read is a 304 for as long as nothing changes.
         * @example "2"
         */
        ETag: string;
        /** @description The present version of the conversation, in quotes, if it is there. */
        ETagIfThere: string;
        /**
         * @description The revision of the record, in quotes.
         * @example "2"
         */
        ETagOfRecord: string;
        /** @description The present revision of the record, in quotes, if it is there. */
        ETagOfRecordIfThere: string;
        /**
         * @description Which store answered, as RFC 9211 defines it: `redis; hit`, or `redis; fwd=miss` with the reason as `detail`, and `stored` if the cache was refilled; `redis; fwd=bypass` if the operation reads from Postgres only. `redis; hit; detail=failover-30s` is a hit of a cache that hides its failovers: until 30 seconds after the last request that was in flight across one, the response may lack writes that were acknowledged before it, unless `min_version` requires them.
         * @example redis; hit
         */
        CacheStatusOfRead: string;
        /**
         * @description How far the write has reached Redis: `stored`; `pending`, so readers go to Postgres; or `deferred`, so cached reads may miss it until the next write to the conversation, or up to a minute after Redis recovers.
         * @example redis; fwd=method; stored
         */
        CacheStatusOfWrite: string;
        /**
         * @description Where the next page is, relative to this one: `<?after=CURSOR>; rel="next"`. The last page has none.
         * @example <?after=eyJtIjpbInRyaXAtdG8tbGlzYm9uIiwxXX0>; rel="next"
         */
        NextPage: string;
        /**
         * @description After how many seconds a retry may succeed.
         * @example 1
         */
        RetryAfter: number;
        /**
         * @description `false`: a retry can only fail, or store the request twice. It keeps the OpenAI SDKs from retrying automatically.
         * @example false
         */
        ShouldRetry: "false";
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    listConversations: {
        parameters: {
            query?: {
                /** @description `metadata[key]=value`: only conversations whose metadata has this pair; with several, only those that have all. A key that contains `][` cannot be filtered by, since that denotes nesting. */
                metadata?: components["parameters"]["MetadataFilter"];
                /** @description Only the forks of this conversation, whether or not it still exists. */
                forked_from?: components["parameters"]["ForkedFrom"];
                /** @description `false` leaves out conversations that are archived, `true` has only those, and `any` has both. */
                archived?: components["parameters"]["Archived"];
                /**
                 * @description Maximum number of entries in the page.
                 * @example 10
                 */
                limit?: components["parameters"]["LimitOfList"];
                /**
                 * @description `desc` is newest first.
                 * @example desc
                 */
                order?: components["parameters"]["Order"];
                /** @description The `after` of an earlier page in the same order, to get what follows it. Excludes `before`. */
                after?: string;
                /** @description The `before` of an earlier page in the same order, to get what precedes it. Excludes `after`. */
                before?: string;
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of conversations. */
            200: {
                headers: {
                    "Cache-Status": components["headers"]["CacheStatusOfRead"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "list",
                     *       "data": [
                     *         {
                     *           "id": "trip-to-lisbon",
                     *           "object": "conversation",
                     *           "title": "A trip to Lisbon",
                     *           "metadata": {
                     *             "channel": "web"
                     *           },
                     *           "message_count": 3,
                     *           "version": 1,
                     *           "created_at": 1767225600,
                     *           "updated_at": 1767225600,
                     *           "last_message_at": 1767225600,
                     *           "forked_from": null,
                     *           "forked_at": null,
                     *           "archived": false,
                     *           "expires_after": null,
                     *           "expires_at": null
                     *         }
                     *       ],
                     *       "first_id": "trip-to-lisbon",
                     *       "last_id": "trip-to-lisbon",
                     *       "has_more": true,
                     *       "before": null,
                     *       "after": "YWQgZjgzYmUwYjAgMTc2NzIyNTYwMDAwMDAwMCB0cmlwLXRvLWxpc2Jvbg"
                     *     }
                     */
                    "application/json": components["schemas"]["ConversationPage"];
                };
            };
            /** @description A parameter breaks a rule. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    createConversation: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStar"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NewConversation"] | null;
            };
        };
        responses: {
            /** @description The conversation. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfWrite"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "trip-to-lisbon",
                     *       "object": "conversation",
                     *       "title": "A trip to Lisbon",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "message_count": 3,
                     *       "version": 1,
                     *       "created_at": 1767225600,
                     *       "updated_at": 1767225600,
                     *       "last_message_at": 1767225600,
                     *       "forked_from": null,
                     *       "forked_at": null,
                     *       "archived": false,
                     *       "expires_after": null,
                     *       "expires_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["Conversation"];
                };
            };
            400: components["responses"]["BadConversation"];
            401: components["responses"]["Unauthenticated"];
            /** @description There is no conversation `fork_of`. */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description The id is in use or was deleted, or the `Idempotency-Key` was used for another request. */
            409: {
                headers: {
                    "x-should-retry": components["headers"]["ShouldRetry"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description With `If-None-Match`, the id is in use. */
            412: {
                headers: {
                    ETag: components["headers"]["ETagIfThere"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            /** @description The request or one of its messages is too large, or a fork would begin with too much. */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            415: components["responses"]["NotJson"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForCreation"];
        };
    };
    deleteConversations: {
        parameters: {
            query?: {
                /** @description `metadata[key]=value`: only conversations whose metadata has this pair; with several, only those that have all. A key that contains `][` cannot be filtered by, since that denotes nesting. */
                metadata?: components["parameters"]["MetadataFilter"];
                /** @description Only the forks of this conversation, whether or not it still exists. */
                forked_from?: components["parameters"]["ForkedFrom"];
                /**
                 * @description `false` leaves out conversations that are archived, `true` has only those, and `any` has both.
                 * @example true
                 */
                archived?: components["parameters"]["ArchivedOfDeletion"];
                /** @description `true` only counts the conversations, `false` deletes them. */
                dry_run?: components["parameters"]["DryRun"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How many conversations there are, and how many of them were deleted. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "conversation.deletions",
                     *       "dry_run": true,
                     *       "matched": 12,
                     *       "deleted": 0,
                     *       "has_more": false
                     *     }
                     */
                    "application/json": components["schemas"]["ConversationDeletions"];
                };
            };
            /** @description A parameter breaks a rule, or there is no filter. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForDeletion"];
        };
    };
    getConversation: {
        parameters: {
            query?: {
                /**
                 * @description The `version` that an earlier write or read returned: the response is at least as new. A version above the stored one is a 409.
                 * @example 1
                 */
                min_version?: components["parameters"]["MinVersion"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /**
                 * @description The `ETag` of an earlier response. If nothing changed since, the response is a 304 without a body.
                 * @example "2"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The conversation. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfRead"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "trip-to-lisbon",
                     *       "object": "conversation",
                     *       "title": "A trip to Lisbon",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "message_count": 3,
                     *       "version": 1,
                     *       "created_at": 1767225600,
                     *       "updated_at": 1767225600,
                     *       "last_message_at": 1767225600,
                     *       "forked_from": null,
                     *       "forked_at": null,
                     *       "archived": false,
                     *       "expires_after": null,
                     *       "expires_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["Conversation"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRead"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoConversation"];
            409: components["responses"]["VersionAhead"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    updateConversation: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the version that the write is to change, or `*` if any will do: if the conversation is at another version, nothing is stored, and the response is a 412; if it is not there, a 404, or where messages are added, which would create it, a 412 with version 0. What was done before is answered first: a retry of a write that succeeded is no conflict. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStar"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConversationChange"];
            };
        };
        responses: {
            /** @description The conversation after the change. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfWrite"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "trip-to-lisbon",
                     *       "object": "conversation",
                     *       "title": "Four days in Lisbon",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "message_count": 3,
                     *       "version": 2,
                     *       "created_at": 1767225600,
                     *       "updated_at": 1767225660,
                     *       "last_message_at": 1767225600,
                     *       "forked_from": null,
                     *       "forked_at": null,
                     *       "archived": false,
                     *       "expires_after": null,
                     *       "expires_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["Conversation"];
                };
            };
            /** @description The id or the body breaks a rule. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoConversation"];
            /** @description The `Idempotency-Key` was used for another request. */
            409: {
                headers: {
                    "x-should-retry": components["headers"]["ShouldRetry"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            412: components["responses"]["VersionMismatch"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["NotJson"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteConversation: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description The `ETag` of the version that the write is to change, or `*` if any will do: if the conversation is at another version, nothing is stored, and the response is a 412; if it is not there, a 404, or where messages are added, which would create it, a 412 with version 0. What was done before is answered first: a retry of a write that succeeded is no conflict. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStar"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The conversation is deleted. */
            200: {
                headers: {
                    "Cache-Status": components["headers"]["CacheStatusOfWrite"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "trip-to-lisbon",
                     *       "object": "conversation.deleted",
                     *       "deleted": true
                     *     }
                     */
                    "application/json": components["schemas"]["ConversationDeleted"];
                };
            };
            400: components["responses"]["BadId"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoConversation"];
            412: components["responses"]["VersionMismatch"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForDeletion"];
        };
    };
    listMessages: {
        parameters: {
            query?: {
                /**
                 * @description Maximum number of messages in the page.
                 * @example 20
                 */
                limit?: number;
                /** @description A position, to get the last messages before it. Excludes `after`. */
                before?: number;
                /** @description A position, to get the first messages after it; 0 is the beginning. Excludes `before`. */
                after?: number;
                /** @description Leaves out the messages at the beginning of the page before the first of this role, so that the page does not begin with the result of a call that is not in it. `before` and `after` are those of the page without it. */
                start_on?: "system" | "developer" | "user" | "human" | "assistant" | "ai" | "tool" | "function";
                /**
                 * @description The `version` that an earlier write or read returned: the response is at least as new. A version above the stored one is a 409.
                 * @example 1
                 */
                min_version?: components["parameters"]["MinVersion"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /**
                 * @description The `ETag` of an earlier response. If nothing changed since, the response is a 304 without a body.
                 * @example "2"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Messages, oldest first. `before` and `after` are the positions for the next requests; `before` is null if there are no older messages. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfRead"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "list",
                     *       "data": [
                     *         {
                     *           "id": "msg-2",
                     *           "seq": 2,
                     *           "created_at": 1767225600,
                     *           "role": "user",
                     *           "content": "Three days in Lisbon!"
                     *         },
                     *         {
                     *           "id": "msg-3",
                     *           "seq": 3,
                     *           "created_at": 1767225600,
                     *           "role": "assistant",
                     *           "content": "Day one: Alfama."
                     *         }
                     *       ],
                     *       "first_id": "msg-2",
                     *       "last_id": "msg-3",
                     *       "has_more": true,
                     *       "before": 2,
                     *       "after": 3
                     *     }
                     */
                    "application/json": components["schemas"]["MessagePage"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRead"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoConversation"];
            409: components["responses"]["VersionAhead"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    replaceMessages: {
        parameters: {
            query: {
                /**
                 * @description The position after which messages are replaced; 0 replaces all.
                 * @example 2
                 */
                after: number;
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the version that the write is to change, or `*` if any will do: if the conversation is at another version, nothing is stored, and the response is a 412; if it is not there, a 404, or where messages are added, which would create it, a 412 with version 0. What was done before is answered first: a retry of a write that succeeded is no conflict. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStar"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Replacement"];
            };
        };
        responses: {
            /** @description The new messages. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfWrite"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "list",
                     *       "id": "trip-to-lisbon",
                     *       "version": 2,
                     *       "deleted": 1,
                     *       "data": [
                     *         {
                     *           "id": "msg_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *           "seq": 4,
                     *           "created_at": 1767225660,
                     *           "role": "user",
                     *           "content": "Four days in Lisbon!"
                     *         }
                     *       ],
                     *       "first_id": "msg_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *       "last_id": "msg_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *       "has_more": false
                     *     }
                     */
                    "application/json": components["schemas"]["ReplacedMessages"];
                };
            };
            /** @description The position, the id or the body breaks a rule. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoConversation"];
            /** @description A message that stays has this id, a message of this id was deleted, or the `Idempotency-Key` was used for another request. */
            409: {
                headers: {
                    "x-should-retry": components["headers"]["ShouldRetry"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            412: components["responses"]["VersionMismatch"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["NotJson"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForDeletion"];
        };
    };
    addMessages: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the version that the write is to change, or `*` if any will do: if the conversation is at another version, nothing is stored, and the response is a 412; if it is not there, a 404, or where messages are added, which would create it, a 412 with version 0. What was done before is answered first: a retry of a write that succeeded is no conflict. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStar"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewMessages"];
            };
        };
        responses: {
            /** @description The stored messages. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfWrite"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "list",
                     *       "id": "trip-to-lisbon",
                     *       "version": 2,
                     *       "data": [
                     *         {
                     *           "id": "msg_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *           "seq": 4,
                     *           "created_at": 1767225660,
                     *           "role": "user",
                     *           "content": "And the weather?"
                     *         }
                     *       ],
                     *       "first_id": "msg_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *       "last_id": "msg_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *       "has_more": false
                     *     }
                     */
                    "application/json": components["schemas"]["AddedMessages"];
                };
            };
            400: components["responses"]["BadMessages"];
            401: components["responses"]["Unauthenticated"];
            /** @description A message with this id has another body, the conversation was deleted, or the `Idempotency-Key` was used for another request. */
            409: {
                headers: {
                    "x-should-retry": components["headers"]["ShouldRetry"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            412: components["responses"]["VersionMismatch"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["NotJson"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForCreation"];
        };
    };
    listItems: {
        parameters: {
            query?: {
                /**
                 * @description Maximum number of entries in the page.
                 * @example 10
                 */
                limit?: components["parameters"]["LimitOfList"];
                /**
                 * @description `desc` is newest first.
                 * @example desc
                 */
                order?: components["parameters"]["Order"];
                /** @description An item's id, like the `last_id` of an earlier page, to get what follows it in that order. */
                after?: components["schemas"]["Id"];
                /**
                 * @description The `version` that an earlier write or read returned: the response is at least as new. A version above the stored one is a 409.
                 * @example 1
                 */
                min_version?: components["parameters"]["MinVersion"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /**
                 * @description The `ETag` of an earlier response. If nothing changed since, the response is a 304 without a body.
                 * @example "2"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of items. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfRead"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "list",
                     *       "data": [
                     *         {
                     *           "id": "msg-3",
                     *           "type": "message",
                     *           "status": "completed",
                     *           "role": "assistant",
                     *           "content": [
                     *             {
                     *               "type": "output_text",
                     *               "text": "Day one: Alfama.",
                     *               "annotations": []
                     *             }
                     *           ]
                     *         }
                     *       ],
                     *       "first_id": "msg-3",
                     *       "last_id": "msg-3",
                     *       "has_more": true
                     *     }
                     */
                    "application/json": components["schemas"]["ItemPage"];
                };
            };
            304: components["responses"]["NotModified"];
            /** @description An id or a parameter breaks a rule. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoConversation"];
            409: components["responses"]["VersionAhead"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    addItems: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the version that the write is to change, or `*` if any will do: if the conversation is at another version, nothing is stored, and the response is a 412; if it is not there, a 404, or where messages are added, which would create it, a 412 with version 0. What was done before is answered first: a retry of a write that succeeded is no conflict. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStar"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewItems"];
            };
        };
        responses: {
            /** @description The stored items. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfWrite"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "list",
                     *       "data": [
                     *         {
                     *           "id": "fc_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *           "type": "function_call",
                     *           "call_id": "call-1",
                     *           "name": "weather",
                     *           "arguments": "{\"city\":\"Lisbon\"}",
                     *           "status": "completed"
                     *         },
                     *         {
                     *           "id": "fco_019b76da2c007d1a8a3f0c5e7b9d1f25",
                     *           "type": "function_call_output",
                     *           "call_id": "call-1",
                     *           "output": "19 °C",
                     *           "status": "completed"
                     *         }
                     *       ],
                     *       "first_id": "fc_019b76da2c007d1a8a3f0c5e7b9d1f24",
                     *       "last_id": "fco_019b76da2c007d1a8a3f0c5e7b9d1f25",
                     *       "has_more": false,
                     *       "version": 2
                     *     }
                     */
                    "application/json": components["schemas"]["AddedItems"];
                };
            };
            400: components["responses"]["BadItems"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoConversation"];
            /** @description An item with this id has another body, or the `Idempotency-Key` was used for another request. */
            409: {
                headers: {
                    "x-should-retry": components["headers"]["ShouldRetry"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            412: components["responses"]["VersionMismatch"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["NotJson"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    getItem: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /**
                 * @description The `ETag` of an earlier response. If nothing changed since, the response is a 304 without a body.
                 * @example "2"
                 */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
                /**
                 * @description The id of an item, or of the message that it is.
                 * @example msg-2
                 */
                item_id: components["parameters"]["ItemId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The item. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfRead"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "msg-2",
                     *       "type": "message",
                     *       "status": "completed",
                     *       "role": "user",
                     *       "content": [
                     *         {
                     *           "type": "input_text",
                     *           "text": "Three days in Lisbon!"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": components["schemas"]["Item"];
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadId"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoItem"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteItem: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description The `ETag` of the version that the write is to change, or `*` if any will do: if the conversation is at another version, nothing is stored, and the response is a 412; if it is not there, a 404, or where messages are added, which would create it, a 412 with version 0. What was done before is answered first: a retry of a write that succeeded is no conflict. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description `*`: the write is done only if there is no such conversation. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStar"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
                /**
                 * @description The id of an item, or of the message that it is.
                 * @example msg-2
                 */
                item_id: components["parameters"]["ItemId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The conversation without it. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "Cache-Status": components["headers"]["CacheStatusOfWrite"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "trip-to-lisbon",
                     *       "object": "conversation",
                     *       "title": "A trip to Lisbon",
                     *       "metadata": {
                     *         "channel": "web"
                     *       },
                     *       "message_count": 2,
                     *       "version": 2,
                     *       "created_at": 1767225600,
                     *       "updated_at": 1767225660,
                     *       "last_message_at": 1767225600,
                     *       "forked_from": null,
                     *       "forked_at": null,
                     *       "archived": false,
                     *       "expires_after": null,
                     *       "expires_at": null
                     *     }
                     */
                    "application/json": components["schemas"]["Conversation"];
                };
            };
            400: components["responses"]["BadId"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoItem"];
            /** @description The item is a part of a message, which is deleted as a whole. */
            409: {
                headers: {
                    "x-should-retry": components["headers"]["ShouldRetry"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            412: components["responses"]["VersionMismatch"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForDeletion"];
        };
    };
    listRecords: {
        parameters: {
            query?: {
                /** @description A record to list. It may stand several times; with `prefix` together 1,000 times, and within the length of a URL that the front end takes. */
                key?: components["parameters"]["RecordKeys"];
                /** @description The beginning of the keys of records to list. It may stand several times. */
                prefix?: components["parameters"]["RecordPrefixes"];
                /** @description A key, to list what comes behind it in the order of the list. There need not be such a record. */
                after?: components["parameters"]["AfterRecord"];
                /** @description `asc` is the order of the bytes of the keys, `desc` its reverse. */
                order?: components["parameters"]["RecordOrder"];
                /** @description Maximum number of records in the page. */
                limit?: components["parameters"]["LimitOfRecords"];
                /**
                 * @description Whether the values are listed as well. A page ends early, with `has_more`, where the response would be too large.
                 * @example true
                 */
                values?: components["parameters"]["WithValues"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordPage"];
            400: components["responses"]["BadRecordRead"];
            401: components["responses"]["Unauthenticated"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    writeRecords: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody: components["requestBodies"]["Records"];
        responses: {
            200: components["responses"]["WrittenRecords"];
            400: components["responses"]["BadRecords"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["RecordsConflict"];
            412: components["responses"]["RevisionMismatchOfBatch"];
            413: components["responses"]["RecordTooLarge"];
            415: components["responses"]["NotJson"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForCreation"];
        };
    };
    deleteRecords: {
        parameters: {
            query: {
                /**
                 * @description The beginning of the keys of the records to delete. With an empty one all are deleted.
                 * @example agent/
                 */
                prefix: components["parameters"]["RecordPrefix"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordDeletion"];
            400: components["responses"]["BadRecordRead"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["KeyConflict"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    getRecord: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description The `ETag` of an earlier response. If the record has still this revision, the response is a 304 without a body, and the value is not read. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchRevision"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordValue"];
            304: components["responses"]["RecordNotModified"];
            400: components["responses"]["BadRecordRead"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoRecord"];
            413: components["responses"]["ValueTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    putRecord: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the record that the write is to replace, or `*` if any will do: if it has another revision, or is not there, nothing is stored, and the response is a 412. A retry of a write that succeeded is one as well, unless it has an `Idempotency-Key`. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatchRevision"];
                /** @description `*`: the write is done only if there is no such record. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStarRecord"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        requestBody?: components["requestBodies"]["Value"];
        responses: {
            200: components["responses"]["StoredRecord"];
            400: components["responses"]["BadRecordRead"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["RecordsConflict"];
            412: components["responses"]["RevisionMismatch"];
            413: components["responses"]["PutTooLarge"];
            415: components["responses"]["EncodedBody"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForCreation"];
        };
    };
    deleteRecord: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the record that the write is to replace, or `*` if any will do: if it has another revision, or is not there, nothing is stored, and the response is a 412. A retry of a write that succeeded is one as well, unless it has an `Idempotency-Key`. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatchRevision"];
            };
            path: {
                /**
                 * @description The id of one of the owner's conversations.
                 * @example trip-to-lisbon
                 */
                conversation_id: components["parameters"]["ConversationId"];
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordDeletion"];
            400: components["responses"]["BadRecordRead"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["KeyConflict"];
            412: components["responses"]["RevisionMismatch"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    listOwnRecords: {
        parameters: {
            query?: {
                /** @description A record to list. It may stand several times; with `prefix` together 1,000 times, and within the length of a URL that the front end takes. */
                key?: components["parameters"]["RecordKeys"];
                /** @description The beginning of the keys of records to list. It may stand several times. */
                prefix?: components["parameters"]["RecordPrefixes"];
                /** @description A key, to list what comes behind it in the order of the list. There need not be such a record. */
                after?: components["parameters"]["AfterRecord"];
                /** @description `asc` is the order of the bytes of the keys, `desc` its reverse. */
                order?: components["parameters"]["RecordOrder"];
                /** @description Maximum number of records in the page. */
                limit?: components["parameters"]["LimitOfRecords"];
                /**
                 * @description Whether the values are listed as well. A page ends early, with `has_more`, where the response would be too large.
                 * @example true
                 */
                values?: components["parameters"]["WithValues"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordPage"];
            400: components["responses"]["BadOwnRecordRead"];
            401: components["responses"]["Unauthenticated"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    writeOwnRecords: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: components["requestBodies"]["Records"];
        responses: {
            200: components["responses"]["WrittenRecords"];
            400: components["responses"]["BadOwnRecords"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["KeyConflict"];
            412: components["responses"]["OwnRevisionMismatchOfBatch"];
            413: components["responses"]["RecordTooLarge"];
            415: components["responses"]["NotJson"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteOwnRecords: {
        parameters: {
            query: {
                /**
                 * @description The beginning of the keys of the records to delete. With an empty one all are deleted.
                 * @example agent/
                 */
                prefix: components["parameters"]["RecordPrefix"];
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordDeletion"];
            400: components["responses"]["BadOwnRecordRead"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["KeyConflict"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    getOwnRecord: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description The `ETag` of an earlier response. If the record has still this revision, the response is a 304 without a body, and the value is not read. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchRevision"];
            };
            path: {
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordValue"];
            304: components["responses"]["RecordNotModified"];
            400: components["responses"]["BadOwnRecordRead"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoOwnRecord"];
            413: components["responses"]["ValueTooLarge"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    putOwnRecord: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the record that the write is to replace, or `*` if any will do: if it has another revision, or is not there, nothing is stored, and the response is a 412. A retry of a write that succeeded is one as well, unless it has an `Idempotency-Key`. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatchRevision"];
                /** @description `*`: the write is done only if there is no such record. Excludes `If-Match`. */
                "If-None-Match"?: components["parameters"]["IfNoneMatchStarRecord"];
            };
            path: {
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        requestBody?: components["requestBodies"]["Value"];
        responses: {
            200: components["responses"]["StoredRecord"];
            400: components["responses"]["BadOwnRecordRead"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["KeyConflict"];
            412: components["responses"]["OwnRevisionMismatch"];
            413: components["responses"]["PutTooLarge"];
            415: components["responses"]["EncodedBody"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteOwnRecord: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
                /** @description Identifies the request when it is sent again: it takes effect once, and every retry has the same result. Another request of the same owner with the same key is a 409, or a 404 if its conversation does not exist. The key is kept as long as the conversation exists. */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description The `ETag` of the record that the write is to replace, or `*` if any will do: if it has another revision, or is not there, nothing is stored, and the response is a 412. A retry of a write that succeeded is one as well, unless it has an `Idempotency-Key`. Excludes `If-None-Match`. */
                "If-Match"?: components["parameters"]["IfMatchRevision"];
            };
            path: {
                /**
                 * @description The key of the record. `/` may stand as it is. Keys that gateways and clients change in a path (with `?` or U+FFFD in them, or the segments `.` and `..`) can be listed by `key`, and written in a batch.
                 * @example agent/state
                 */
                key: components["parameters"]["RecordKey"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            200: components["responses"]["RecordDeletion"];
            400: components["responses"]["BadOwnRecordRead"];
            401: components["responses"]["Unauthenticated"];
            409: components["responses"]["KeyConflict"];
            412: components["responses"]["OwnRevisionMismatch"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    owner: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description How much it is. */
            200: {
                headers: {
                    "Cache-Status": components["headers"]["CacheStatusOfRead"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "owner",
                     *       "conversations": 3,
                     *       "messages": 6,
                     *       "records": 4,
                     *       "bytes": 1234,
                     *       "erasure": null
                     *     }
                     */
                    "application/json": components["schemas"]["OwnerData"];
                };
            };
            400: components["responses"]["BadOwner"];
            401: components["responses"]["Unauthenticated"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteOwner: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Nobody can read anything of it any more. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "object": "owner.deleted",
                     *       "deleted": true,
                     *       "erasure": {
                     *         "object": "owner.erasure",
                     *         "id": "erasure_019ac8b3f4007d1a8a3f0c5e7b9d1f24",
                     *         "owner_hash": "49915e0d7d4b402e",
                     *         "shard": 2449,
                     *         "requested_by": "owner",
                     *         "requested_at": 1764300000,
                     *         "hidden_at": 1764300001,
                     *         "completed_at": null,
                     *         "conversations": 4,
                     *         "messages": 0,
                     *         "records": 0,
                     *         "remaining": 5
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["OwnerDeleted"];
                };
            };
            400: components["responses"]["BadOwner"];
            401: components["responses"]["Unauthenticated"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["UnavailableForErasure"];
        };
    };
    exportOwner: {
        parameters: {
            query?: {
                /** @description The `after` of an earlier page's `Link`, to get what follows it. */
                after?: string;
            };
            header?: {
                /**
                 * @description With `AUTH_MODE=trusted_header`: the owner, 1 to 255 visible ASCII characters other than braces. Without it the owner is `DEFAULT_OWNER`, or if that is not set, the response is a 401. With `AUTH_MODE=jwt` it is ignored.
                 * @example ann
                 */
                "x-owner-id"?: components["parameters"]["Owner"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of lines, each with a line feed at its end. */
            200: {
                headers: {
                    Link: components["headers"]["NextPage"];
                    "Cache-Status": components["headers"]["CacheStatusOfRead"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {"record":"owner","owner":"ann","record_revision":1,"record_count":1}
                     *     {"record":"record","conversation":null,"key":"settings","revision":1,"content_type":"application/json","updated_at_us":1767225600000000,"value":"{}"}
                     *     {"record":"conversation","owner":"ann","id":"trip-to-lisbon","title":"A trip to Lisbon","metadata":{"channel":"web"},"archived":false,"expires_after":null,"version":1,"last_seq":1,"message_count":1,"created_at_us":1767225600000000,"updated_at_us":1767225600000000,"last_message_at_us":1767225600000000}
                     *     {"record":"message","conversation":"trip-to-lisbon","seq":1,"id":"msg-2","created_at_us":1767225600000000,"body":{"id":"msg-2","role":"user","content":"Three days in Lisbon!"}}
                     */
                    "application/x-ndjson": unknown;
                };
            };
            /** @description A parameter breaks a rule. */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Error"];
                };
            };
            401: components["responses"]["Unauthenticated"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
    health: {
        parameters: {
            query?: {
                /**
                 * @description `1` checks both stores.
                 * @example 1
                 */
                deep?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The function runs, and with `deep=1` Postgres answers. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ok",
                     *       "version": "0.1.0",
                     *       "postgres": "ok",
                     *       "redis": "ok"
                     *     }
                     */
                    "application/json": components["schemas"]["HealthReport"];
                };
            };
            500: components["responses"]["InternalError"];
            503: components["responses"]["Unavailable"];
        };
    };
}
