// Eight writers count in one conversation: each reads, and adds the next number if nobody has added one meanwhile.
//
//     npm ci && npm start     # beside a running `make run`; Node 20 or newer
const API_URL = process.env.API_URL ?? "http://127.0.0.1:9000";
const [WRITERS, EACH] = [8, 25];

// loop
type Message = { role: string; content: string };
type Stored = Message & { id: string; seq: number };

/** Adds what `respond` makes of the history, only if nobody has changed it since it was read. */
async function reply(conversation: string, respond: (history: Stored[]) => Message | Promise<Message>): Promise<Stored> {
  const url = `${API_URL}/v1/conversations/${conversation}/messages`;
  for (let seen = 0; ; ) {
    const read = await fetch(`${url}?min_version=${seen}`);
    const page = await read.json();
    if (!read.ok && read.status !== 404) throw new Error(page.error.message);
    const history: Stored[] = read.ok ? page.data : [];
    const condition: Record<string, string> = read.ok ? { "if-match": read.headers.get("etag")! } : { "if-none-match": "*" };
    const added = await fetch(url, {
      method: "POST",
      // The key is this attempt's: sent again after a lost answer, it is stored once.
      headers: { "content-type": "application/json", "idempotency-key": crypto.randomUUID(), ...condition },
      body: JSON.stringify(await respond(history)),
    });
    const body = await added.json();
    if (added.ok) return body.data[0];
    if (added.status !== 412) throw new Error(body.error.message);
    // Somebody else was first: read what they added, and nothing older.
    seen = body.error.version;
  }
}
// end

const conversation = `count-${crypto.randomUUID()}`;
const count = (history: Stored[]) => ({ role: "user", content: String(Number(history.at(-1)?.content ?? 0) + 1) });

async function writer() {
  for (let n = 0; n < EACH; n += 1) await reply(conversation, count);
}

await Promise.all(Array.from({ length: WRITERS }, writer));
const seen: number[] = [];
for (let more = true; more; ) {
  const page = await (await fetch(`${API_URL}/v1/conversations/${conversation}/messages?after=${seen.length}`)).json();
  seen.push(...page.data.map((message: Stored) => Number(message.content)));
  more = page.has_more;
}
if (seen.some((number, at) => number !== at + 1) || seen.length !== WRITERS * EACH) throw new Error(`${seen}`);
console.log(`${WRITERS} writers in TypeScript counted to ${seen.length}: all as expected`);
