// Chats of the AI SDK: its stock client and server around a route like the one of its persistence guide, with a scripted model.
import assert from "node:assert/strict";

import {
  AbstractChat,
  DefaultChatTransport,
  consumeStream,
  convertToModelMessages,
  createUIMessageStreamResponse,
  generateId,
  isStepCount,
} from "ai";
import { lastAssistantMessageIsCompleteWithToolCalls, streamText, toUIMessageStream, tool, validateUIMessages } from "ai";
import { MockLanguageModelV4, simulateReadableStream } from "ai/test";
import { createChat, loadChat, nextMessages, saveChat } from "conversation-store/ai";
import { z } from "zod";

import { counting, doublingLate, losing, open, withServer } from "./support.js";

const usage = { inputTokens: { total: 1 }, outputTokens: { total: 1 } };
const end = (unified) => ({ type: "finish", finishReason: { unified, raw: undefined }, usage });
const says = (text) => [
  { type: "text-start", id: "1" },
  { type: "text-delta", id: "1", delta: text },
  { type: "text-end", id: "1" },
  end("stop"),
];
const calls = (toolName, toolCallId) => [{ type: "tool-call", toolCallId, toolName, input: '{"city":"Lisbon"}' }, end("tool-calls")];

/** A model that answers what is given here, one after the other; `before` runs first. */
function scripted(outputs, before = async () => undefined) {
  return new MockLanguageModelV4({
    doStream: async () => {
      await before();
      return { stream: simulateReadableStream({ chunks: outputs.shift() }) };
    },
  });
}

const inputSchema = z.object({ city: z.string() });
const tools = {
  warmth: tool({ inputSchema, execute: async () => ({ celsius: 19 }) }),
  place: tool({ inputSchema }), // the browser has the answer
};

/** The route of the guide. */
const route =
  (store, model) =>
  async (_url, { body }) => {
    const { id, message } = JSON.parse(body);
    const chat = await loadChat(store, id);
    const messages = await validateUIMessages({ messages: nextMessages(chat, message), tools });
    await saveChat(store, { chat, messages, activeStreamId: null });
    const result = streamText({ model, messages: await convertToModelMessages(messages), tools, stopWhen: isStepCount(3) });
    return createUIMessageStreamResponse({
      stream: toUIMessageStream({
        stream: result.stream,
        originalMessages: messages,
        generateMessageId: generateId,
        onEnd: ({ messages }) => saveChat(store, { chat, messages, activeStreamId: null }),
      }),
      consumeSseStream: async ({ stream }) => {
        await saveChat(store, { chat, activeStreamId: `stream of ${message.id}` });
        for await (const _ of stream);
      },
    });
  };

/** What `useChat` is made of, without React. */
class Tab extends AbstractChat {
  constructor(store, id, model, messages = []) {
    const state = {
      status: "ready",
      error: undefined,
      messages,
      pushMessage: (message) => (state.messages = [...state.messages, message]),
      popMessage: () => (state.messages = state.messages.slice(0, -1)),
      replaceMessage: (at, message) => (state.messages = state.messages.with(at, structuredClone(message))),
      snapshot: structuredClone,
    };
    const prepareSendMessagesRequest = ({ id, messages }) => ({ body: { id, message: messages.at(-1) } });
    const transport = new DefaultChatTransport({ fetch: route(store, model), prepareSendMessagesRequest });
    super({
      id,
      state,
      transport,
      generateId,
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
      onError: (error) => {
        throw error;
      },
    });
  }
}

const textOf = ({ parts }) =>
  parts
    .map(({ type, text, state }) => text ?? (type.startsWith("tool-") ? `${type} ${state}` : ""))
    .filter(Boolean)
    .join(" ");
const stored = async (store, id) => (await loadChat(store, id)).messages;
const holds = async (store, id, ...texts) => assert.deepEqual((await stored(store, id)).map(textOf), texts);
const user = (text, id = generateId()) => ({ id, role: "user", parts: [{ type: "text", text }] });
const say = (text, id) => ({ ...user(text, id), role: "assistant" });

/** Waits until the stored chat has no running stream: the route clears it after the browser has seen the end. */
async function settled(store, id) {
  while ((await loadChat(store, id)).activeStreamId !== null) await new Promise((done) => setTimeout(done, 20));
}

withServer("what the browser shows after two turns, one with a tool, is what is loaded", async () => {
  const store = open();
  const id = await createChat(store);
  assert.deepEqual(await loadChat(store, id), { id, messages: [], activeStreamId: null });
  const tab = new Tab(store, id, scripted([calls("warmth", "c-1"), says("19 °C."), says("Yes.")]));
  await tab.sendMessage({ text: "How warm is Lisbon?", metadata: { sent: 1 } });
  await settled(store, id);
  await tab.sendMessage({ text: "Is that nice?" });
  await settled(store, id);
  await holds(store, id, "How warm is Lisbon?", "tool-warmth output-available 19 °C.", "Is that nice?", "Yes.");
  assert.deepEqual(await stored(store, id), JSON.parse(JSON.stringify(tab.messages)));
  const { data } = await store.items.list(id, { order: "asc" });
  assert.deepEqual(
    data.map(({ type }) => type),
    ["message", "function_call", "function_call_output", "message", "message", "message"],
  );
});

withServer("a tool's outcome from the browser, another answer, and an edit", async () => {
  const store = open();
  const tab = new Tab(store, "chat", scripted([calls("place", "c-1"), says("Here."), says("There."), says("Porto.")]));
  await tab.sendMessage({ text: "Where am I?" });
  await settled(store, "chat");
  await tab.addToolOutput({ tool: "place", toolCallId: "c-1", output: "Lisbon" });
  while (tab.status !== "ready" || textOf(tab.messages.at(-1)) === "tool-place output-available")
    await new Promise((done) => setTimeout(done, 10));
  await settled(store, "chat");
  await holds(store, "chat", "Where am I?", "tool-place output-available Here.");
  await tab.regenerate();
  await settled(store, "chat");
  await holds(store, "chat", "Where am I?", "There.");
  await tab.sendMessage({ text: "And now?", messageId: tab.messages[0].id });
  await settled(store, "chat");
  await holds(store, "chat", "And now?", "Porto.");
  assert.deepEqual(await stored(store, "chat"), JSON.parse(JSON.stringify(tab.messages)));
});

withServer("of two tabs that talk at once no message is lost", async () => {
  const store = open();
  const first = new Tab(store, "chat", scripted([says("Hello!")]));
  await first.sendMessage({ text: "Hi!" });
  await settled(store, "chat");
  let waiting = 0;
  let release;
  const both = new Promise((done) => (release = done));
  const meet = () => ((waiting += 1) === 2 ? release() : undefined, both);
  const shown = await stored(store, "chat");
  const tabs = ["a", "b"].map((name) => new Tab(store, "chat", scripted([says(`answer ${name}`)], meet), structuredClone(shown)));
  await Promise.all(tabs.map((tab, at) => tab.sendMessage({ text: `question ${"ab"[at]}` })));
  await settled(store, "chat");
  const texts = (await stored(store, "chat")).map(textOf);
  assert.deepEqual(texts.slice(0, 2), ["Hi!", "Hello!"]);
  assert.deepEqual(texts.slice(2).sort(), ["answer a", "answer b", "question a", "question b"]);
  for (const name of "ab") assert.ok(texts.indexOf(`question ${name}`) < texts.indexOf(`answer ${name}`));
});

withServer("eight savers of eight messages each race, and all are there", async () => {
  const store = open();
  const savers = Array.from({ length: 8 }, async (_, n) => {
    const chat = await loadChat(store, "chat");
    const messages = [...chat.messages];
    for (let m = 0; m < 8; m += 1) {
      messages.push(user(`${n}/${m}`));
      await saveChat(store, { chat, messages });
    }
  });
  await Promise.all(savers);
  const texts = (await stored(store, "chat")).map(textOf);
  assert.equal(texts.length, 64);
  for (let n = 0; n < 8; n += 1)
    assert.deepEqual(
      texts.filter((text) => text[0] === `${n}`),
      Array.from({ length: 8 }, (_, m) => `${n}/${m}`),
    );
});

withServer("what others did stays done", async () => {
  const store = open();
  const [question, answer] = [user("question", "q"), say("answer", "a")];
  await saveChat(store, { chat: "chat", messages: [question, answer] });
  const [one, other] = [await loadChat(store, "chat"), await loadChat(store, "chat")];
  // Another answer, while the other tab goes on: its messages stay.
  await saveChat(store, { chat: other, messages: [...other.messages, user("more", "m")] });
  await saveChat(store, { chat: one, messages: [question, say("another", "b")] });
  await holds(store, "chat", "question", "more", "another");
  // The other has the first answer still; it stays discarded, and what it adds is added.
  await saveChat(store, { chat: other, messages: [question, answer, user("more", "m"), say("reply", "r")] });
  await holds(store, "chat", "question", "more", "another", "reply");
  // A change of a message that is gone is too late, and a message of the other is no obstacle to a change before it.
  await saveChat(store, { chat: other, messages: [user("QUESTION", "q"), say("ANSWER", "a"), user("more", "m"), say("reply", "r")] });
  await holds(store, "chat", "QUESTION", "more", "another", "reply");
  // Who has not loaded deletes nothing, and brings nothing back.
  await saveChat(store, { chat: "chat", messages: [question, answer, user("last", "l")] });
  await holds(store, "chat", "question", "more", "another", "reply", "last");
  // The outcome of a tool discards nothing either.
  const third = await loadChat(store, "chat");
  const messages = nextMessages(third, say("ANOTHER", "b"));
  assert.deepEqual(messages.map(textOf), ["question", "more", "ANOTHER"]);
  await saveChat(store, { chat: third, messages: messages.with(2, say("ANOTHER one", "b")) });
  await holds(store, "chat", "question", "more", "ANOTHER one", "reply", "last");
  await store.conversations.delete("chat");
  await assert.rejects(saveChat(store, { chat: third, messages }), { name: "NotFoundError", code: "conversation_not_found" });
  const added = nextMessages(await loadChat(store, "chat"), user("too late"));
  await assert.rejects(saveChat(store, { chat: "chat", messages: added }), { name: "ConflictError", code: "conversation_deleted" });
});

withServer("a save is one request, messages and stream in one commit", async () => {
  const { sent, fetch } = counting();
  const owner = `test-${crypto.randomUUID()}`;
  const store = open({ owner, fetch });
  const chat = await loadChat(store, "chat");
  sent.length = 0;
  const messages = [user("a")];
  await saveChat(store, { chat, messages, activeStreamId: "s-1" });
  await saveChat(store, { chat, messages: [...messages, say("b", "b")], activeStreamId: null });
  await saveChat(store, { chat, messages: [...messages, say("c", "b")] });
  assert.deepEqual(
    sent,
    ["POST", "POST", "PUT"].map((method) => `${method} /v1/conversations/chat/messages`),
  );
  await saveChat(store, { chat, messages: [...messages, say("c", "b")], activeStreamId: null });
  await saveChat(store, { chat });
  assert.equal(sent.length, 3);
  await saveChat(store, { chat, activeStreamId: "s-2" });
  assert.deepEqual(sent.slice(3), ["POST /v1/conversations/chat/records"]);
  const { activeStreamId, messages: found } = await loadChat(store, "chat");
  assert.deepEqual([activeStreamId, found.map(textOf)], ["s-2", ["a", "c"]]);
});

withServer("the end of a stream clears its own id, and no newer one", async () => {
  const store = open();
  const first = await loadChat(store, "chat");
  await saveChat(store, { chat: first, messages: [user("a", "a")], activeStreamId: "s-1" });
  const [second, stop] = [await loadChat(store, "chat"), await loadChat(store, "chat")];
  await saveChat(store, { chat: second, messages: nextMessages(second, user("b", "b")), activeStreamId: "s-2" });
  await saveChat(store, { chat: first, messages: [user("a", "a"), say("answer a", "x")], activeStreamId: null });
  await saveChat(store, { chat: stop, activeStreamId: null });
  assert.equal((await loadChat(store, "chat")).activeStreamId, "s-2");
  await holds(store, "chat", "a", "b", "answer a");
  // Saves of one chat keep their order, whether or not they are waited for.
  const saves = ["s-3", null, "s-4", null].map((activeStreamId) => saveChat(store, { chat: second, activeStreamId }));
  await Promise.all(saves);
  assert.equal((await loadChat(store, "chat")).activeStreamId, null);
  await saveChat(store, { chat: second, activeStreamId: "s-5" });
  await saveChat(store, { chat: "chat", activeStreamId: null });
  assert.equal((await loadChat(store, "chat")).activeStreamId, null);
});

withServer("saves whose answers are lost are done once, and take nothing from others", async () => {
  let sent = 0;
  const owner = `test-${crypto.randomUUID()}`;
  const [store, deaf] = [open({ owner }), open({ owner, fetch: losing(({ method }) => method !== "GET" && (sent += 1) % 2 === 1) })];
  const chat = await loadChat(deaf, "chat");
  const messages = [user("a", "a")];
  await saveChat(deaf, { chat, messages, activeStreamId: "s-1" });
  const other = await loadChat(store, "chat");
  await saveChat(store, { chat: other, messages: [...other.messages, user("other", "o")] });
  await saveChat(deaf, { chat, messages: [...messages, say("b", "b")], activeStreamId: null });
  await saveChat(deaf, { chat, messages: [...messages, say("c", "b")] });
  const found = await loadChat(store, "chat");
  assert.deepEqual([found.messages.map(textOf), found.activeStreamId], [["a", "other", "c"], null]);
});

withServer("what others add before a lost answer is asked for again stays as well", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const store = open({ owner });
  const more = [user("x", "x"), user("y", "y")];
  const busy = losing(({ method }) => method !== "GET" && more.length % 2 === 0);
  const deaf = async (address, request) => {
    const answer = await busy(address, request).catch((error) => error);
    if (!(answer instanceof Error)) return answer;
    await saveChat(store, { chat: "chat", messages: [more.pop()] });
    throw answer;
  };
  const deafStore = open({ owner, fetch: deaf });
  const chat = await loadChat(deafStore, "chat");
  await saveChat(deafStore, { chat, messages: [user("a", "a")] });
  await saveChat(deafStore, { chat, messages: [user("A", "a")] });
  await holds(store, "chat", "A", "y");
});

withServer("long chats", async () => {
  const { sent, fetch } = counting();
  const store = open({ fetch });
  const messages = Array.from({ length: 250 }, (_, n) => user(`${n}`, `m-${n}`));
  await saveChat(store, { chat: "chat", messages });
  const chat = await loadChat(store, "chat");
  assert.deepEqual(chat.messages, messages);
  sent.length = 0;
  await saveChat(store, { chat, messages: [...messages.slice(0, 160), user("edited", "m-160")] });
  assert.equal(sent.length, 1);
  assert.deepEqual(
    (await stored(store, "chat")).map(({ id }) => id),
    messages.slice(0, 161).map(({ id }) => id),
  );
  const edited = [user("edited", "m-0"), ...messages.slice(1, 160)];
  await saveChat(store, { chat, messages: edited });
  assert.deepEqual(await stored(store, "chat"), edited);
  await saveChat(store, { chat, messages: [user("edited", "m-0")] });
  await holds(store, "chat", "edited");
});

withServer("mistakes are errors", async () => {
  const store = open();
  await assert.rejects(saveChat(store, { chat: "chat", messages: [say("a", "")] }), /generateMessageId/);
  await assert.rejects(saveChat(store, { chat: { id: "chat", messages: [] }, messages: [] }), /loadChat/);
  for (const id of ["trip/items/m1", "..", "a?b"]) {
    await assert.rejects(loadChat(store, id), TypeError);
    await assert.rejects(saveChat(store, { chat: id, messages: [user("a", "a")] }), TypeError);
    await assert.rejects(saveChat(store, { chat: id, activeStreamId: null }), TypeError);
  }
  await assert.rejects(saveChat(store, { chat: "chat", messages: [user("a", "not an id")] }), {
    name: "BadRequestError",
    code: "invalid_id",
  });
  // Fields that the store has for itself do no harm.
  await saveChat(store, { chat: "chat", messages: [{ ...user("a", "a"), seq: 7, created_at: 1 }] });
  await holds(store, "chat", "a");
});

withServer("a stream is saved and cleared also where another request has stored the message", async () => {
  const store = open();
  await saveChat(store, { chat: "chat", messages: [user("hi", "m0")], activeStreamId: "s-0" });
  for (const [n, activeStreamId] of ["s-1", null].entries()) {
    const [one, other] = [await loadChat(store, "chat"), await loadChat(store, "chat")];
    const message = user(`question ${n}`, `q-${n}`);
    await saveChat(store, { chat: one, messages: nextMessages(one, message) });
    await saveChat(store, { chat: other, messages: nextMessages(other, message), activeStreamId });
    assert.equal((await loadChat(store, "chat")).activeStreamId, activeStreamId);
    // The chat knows the stream that it has saved.
    await saveChat(store, { chat: other, activeStreamId: null });
    assert.equal((await loadChat(store, "chat")).activeStreamId, null);
  }
  await holds(store, "chat", "hi", "question 0", "question 1");
});

withServer("messages that are not edited are stored again as they were, to the last digit", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const store = open({ owner });
  const url = `${process.env.BASE_URL}/v1/conversations/chat/messages`;
  const headers = { "content-type": "application/json", "x-owner-id": owner };
  const large = '{"id":"b1","role":"assistant","parts":[{"type":"data-x","data":9007199254740993,"more":1.10}]}';
  await fetch(url, { method: "POST", headers, body: `{"messages":[${JSON.stringify(user("x", "b0"))},${large}]}` });
  const chat = await loadChat(store, "chat");
  await saveChat(store, { chat, messages: [user("edited", "b0"), chat.messages[1]] });
  const exact = '"data":9007199254740993,"more":1.10';
  const text = await (await fetch(url, { headers })).text();
  assert.ok(text.includes(exact), text);
  // Also where they become a part of a batch, and of another one.
  const more = Array.from({ length: 120 }, (_, n) => user(`${n}`, `m-${n}`));
  await saveChat(store, { chat, messages: [user("edited again", "b0"), chat.messages[1], ...more] });
  assert.equal((await store.messages.list("chat")).data.length, 1);
  const last = await loadChat(store, "chat");
  await saveChat(store, { chat: last, messages: [user("short", "b0"), last.messages[1]] });
  const [record] = (await store.records("chat").getAll([], ["batch/"])).values();
  assert.ok(record.text().includes(exact), record.text());
  await holds(store, "chat", "short", "");
  // Edited, they are still there: to the store they were deleted when they became a part of the batch.
  const short = await loadChat(store, "chat");
  await saveChat(store, { chat: short, messages: [user("short", "b0"), { ...say("edited", "b1") }, user("new", "n")] });
  await holds(store, "chat", "short", "edited", "new");
});

withServer("a save of any number and size of messages is one commit", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const { sent, fetch } = counting();
  const store = open({ owner, fetch });
  const large = Array.from({ length: 22 }, (_, n) => user("x".repeat(200_000), `l-${n}`));
  await saveChat(store, { chat: "chat", messages: large, activeStreamId: "s-1" });
  assert.equal(sent.filter((request) => request === "POST /v1/conversations/chat/messages").length, 1);
  const chat = await loadChat(store, "chat");
  assert.deepEqual([chat.messages, chat.activeStreamId], [large, "s-1"]);
  // Another tab goes on meanwhile; an edit near the beginning keeps what it has added.
  const other = await loadChat(store, "chat");
  await saveChat(store, { chat: other, messages: [...large, user("more", "m")] });
  await saveChat(store, { chat, messages: [large[0], user("edited", "l-1"), ...large.slice(2)], activeStreamId: null });
  const found = await loadChat(store, "chat");
  assert.deepEqual(found.messages, [large[0], user("edited", "l-1"), ...large.slice(2), user("more", "m")]);
  assert.equal(found.activeStreamId, null);
  assert.equal((await store.messages.list("chat")).data.length, 2);
  // What an edit discards leaves no records.
  await saveChat(store, { chat: found, messages: [user("short", "l-0")] });
  assert.deepEqual((await store.records("chat").list()).data, []);
});

withServer("a save of many messages that fails leaves nothing to see, and doubles of its requests change nothing", async () => {
  const owner = `test-${crypto.randomUUID()}`;
  const store = open({ owner });
  let isDown = true;
  const broken = async (address, request) => {
    if (isDown && `${address}`.endsWith("/messages") && request.method !== "GET") throw new TypeError("down");
    return fetch(address, request);
  };
  const messages = Array.from({ length: 250 }, (_, n) => user(`${n}`, `m-${n}`));
  const deaf = open({ owner, retries: 0, fetch: broken });
  const chat = await loadChat(deaf, "chat");
  await assert.rejects(saveChat(deaf, { chat, messages }), /down/);
  assert.deepEqual(await stored(store, "chat"), []);
  isDown = false;
  await saveChat(deaf, { chat, messages });
  assert.deepEqual(await stored(store, "chat"), messages);
  const { fetch: doubled, late } = doublingLate(({ method }) => method !== "GET");
  const again = open({ owner, fetch: doubled });
  const loaded = await loadChat(again, "chat");
  await saveChat(again, { chat: loaded, messages: [user("first", "m-0"), ...messages.slice(1)] });
  await saveChat(again, { chat: loaded, messages: [user("second", "m-0"), user("third", "t")] });
  await late();
  await holds(store, "chat", "second", "third");
  // Of the commit of which nobody knows whether it was done the records are left.
  assert.equal((await store.records("chat").list()).data.length, 1);
});

withServer("an answer is saved also if the browser disconnects", async () => {
  const store = open();
  const chat = await loadChat(store, "chat");
  const messages = nextMessages(chat, user("question", "q"));
  await saveChat(store, { chat, messages, activeStreamId: "s-1" });
  const words = Array.from({ length: 20 }, (_, n) => ({ type: "text-delta", id: "1", delta: `${n} ` }));
  const chunks = [{ type: "text-start", id: "1" }, ...words, { type: "text-end", id: "1" }, end("stop")];
  const model = new MockLanguageModelV4({ doStream: async () => ({ stream: simulateReadableStream({ chunks, chunkDelayInMs: 10 }) }) });
  const result = streamText({ model, messages: await convertToModelMessages(messages) });
  const onEnd = ({ messages }) => saveChat(store, { chat, messages, activeStreamId: null });
  const stream = toUIMessageStream({ stream: result.stream, originalMessages: messages, generateMessageId: generateId, onEnd });
  const reader = createUIMessageStreamResponse({ stream, consumeSseStream: consumeStream }).body.getReader();
  for (let n = 0; n < 4; n += 1) await reader.read();
  await reader.cancel();
  await settled(store, "chat");
  const [, answer] = await stored(store, "chat");
  assert.equal(textOf(answer), words.map(({ delta }) => delta).join(""));
});
