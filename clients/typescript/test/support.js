// What the tests share: the server, and servers that fail on purpose.
import { createServer } from "node:http";
import { after, test } from "node:test";

import { ConversationStore } from "conversation-store";

const baseUrl = process.env.BASE_URL;

/** A client of the server at BASE_URL, each with an owner of its own. */
export function open(options = {}) {
  return new ConversationStore({ baseUrl, owner: `test-${crypto.randomUUID()}`, ...options });
}

/** Tests that need a server; without one they are skipped, and say so. */
export const withServer = (name, run) => test(name, { skip: !baseUrl && "BASE_URL is not set" }, run);

/** A server on a port of its own that answers with `respond({ method, url, headers, body }, count)`, and keeps what it was asked. */
export async function serve(respond) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const { method, url, headers } = request;
    const bytes = Buffer.concat(parts);
    const received = { method, url, headers, bytes, body: bytes.toString() };
    asked.push(received);
    const answer = await respond(received, asked.length);
    if (answer === undefined) request.socket.destroy();
    else response.writeHead(answer.status ?? 200, answer.headers).end(answer.body ?? JSON.stringify(answer.json ?? {}));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  after(() => server.close());
  return { baseUrl: `http://127.0.0.1:${server.address().port}`, asked };
}

/** A fetch that sends the requests, and loses the answers to some. */
export function losing(isLost) {
  return async (address, request) => {
    const answer = await fetch(address, request);
    if (isLost(request)) throw new TypeError("the answer was lost");
    return answer;
  };
}

/** A fetch that sends those requests again that are meant, after their answers; `late` waits for the answers to all of these. */
export function doublingLate(isMeant) {
  const again = [];
  const doubled = async (address, request) => {
    const answer = await fetch(address, request);
    if (isMeant(request, new URL(address))) again.push(() => fetch(address, { ...request, signal: undefined }));
    return answer;
  };
  return { fetch: doubled, late: () => Promise.all(again.splice(0).map((send) => send())) };
}

/** A fetch that keeps what it sent. */
export function counting(sent = []) {
  const counted = (address, request) => {
    sent.push(`${request.method} ${new URL(address).pathname}`);
    return fetch(address, request);
  };
  return { sent, fetch: counted };
}

/** A fetch that does something else after the first answer that it is meant for, before it is seen. */
export function interrupted(isMeant, act) {
  let isDone = false;
  return async (address, request) => {
    const answer = await fetch(address, request);
    if (!isDone && isMeant(request, new URL(address))) {
      isDone = true;
      await act();
    }
    return answer;
  };
}

/** Numbers from 0 to 1, the same ones for the same seed. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const LATE = 500;

/**
 * A front of the server that loses requests and answers, delays, doubles, and doubles late: the one at FAULTY_URL, or one of its own.
 * `settled` waits until nothing comes late any more, and returns how often each of its own faults has happened.
 */
export async function faulty(seed = Number(process.env.SEED ?? 7)) {
  const { FAULTY_URL } = process.env;
  if (FAULTY_URL) return { baseUrl: FAULTY_URL, settled: () => pause(4 * LATE) };
  const [dice, faults, late] = [random(seed), { lostRequest: 0, lostAnswer: 0, delayed: 0, doubled: 0, doubledLate: 0 }, []];
  const deck = [];
  const forward = async ({ method, url, headers: { host: _host, connection: _connection, ...headers }, bytes }) => {
    const answer = await fetch(baseUrl + url, { method, headers, body: bytes.length > 0 ? bytes : undefined });
    const { "content-encoding": _encoding, "transfer-encoding": _transfer, ...more } = Object.fromEntries(answer.headers);
    return { status: answer.status, headers: more, body: Buffer.from(await answer.arrayBuffer()) };
  };
  const handle = async (request) => {
    // Of twelve requests in a row each fault meets one.
    if (deck.length === 0) deck.push(...Object.keys(faults), ...Array(7).fill("none"));
    const [fault] = deck.splice(Math.floor(dice() * deck.length), 1);
    if (fault in faults) faults[fault] += 1;
    if (fault === "lostRequest") return undefined;
    if (fault === "delayed") await pause(50 * dice());
    if (fault === "doubled") late.push(forward(request));
    const answer = await forward(request);
    if (fault === "doubledLate") late.push(pause(LATE).then(() => forward(request)));
    return fault === "lostAnswer" ? undefined : answer;
  };
  const front = await serve(handle);
  const settled = async () => {
    await Promise.all(late);
    return faults;
  };
  return { baseUrl: front.baseUrl, settled };
}
