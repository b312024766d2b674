// What must compile and, where an error is expected, what must not.
import type { UIMessage } from "ai";
import { ConversationStore } from "conversation-store";
import type { Conversation, ConversationDeletions, MessagePage, OwnerErasure, StoredRecord } from "conversation-store";
import { loadChat, saveChat } from "conversation-store/ai";

declare const store: ConversationStore;
declare const message: UIMessage<{ sent: number }>;

// A read may be null only where it was asked whether something has changed.
export const page: MessagePage = await store.messages.list("trip", { limit: 5 });
export const changed: MessagePage | null = await store.messages.list("trip", {}, { ifNoneMatch: 1 });
// @ts-expect-error
export const wrong: MessagePage = await store.messages.list("trip", {}, { ifNoneMatch: 1 });
export const conversation: Conversation = await store.conversations.get("trip");
export const record: StoredRecord | undefined = await store.records().get("a");

// Conversations that are archived are listed and deleted by what the API has for it; an erasure may not have been.
await store.conversations.list({ archived: "any" });
// @ts-expect-error
await store.conversations.list({ archived: "all" });
export const deletions: ConversationDeletions = await store.deleteConversations({ archived: true }, { dryRun: false });
// @ts-expect-error
await store.deleteConversations({ limit: 5 });
export const erasure: OwnerErasure | null = (await store.owner()).erasure;

// Messages of any kind, with fields that the store does not know; parameters are those of the contract.
await store.messages.add("trip", [{ role: "user", content: "Hello!", extra: { any: 1 } }, { type: "reasoning", summary: [] }, message]);
// @ts-expect-error
await store.messages.add("trip", { role: "robot", content: "Hello!" });
// @ts-expect-error
await store.messages.list("trip", { limits: 5 });
// @ts-expect-error
await store.records("trip").batch([{ key: "a", text: "1" }]);

// Chats have the type of their messages.
const chat = await loadChat<UIMessage<{ sent: number }>>(store, "trip");
await saveChat(store, { chat, messages: [...chat.messages, message] });
export const sent: number | undefined = chat.messages[0]?.metadata?.sent;
