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
    const received = { method, url, headers, body: Buffer.concat(parts).toString() };
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
