/** Compresses bytes with what every runtime of the web platform has: Node before 20.12 has no `deflate-raw`. */
export const deflate = (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> => pipe(bytes, new CompressionStream("deflate"));

export const inflate = (bytes: Uint8Array<ArrayBuffer>, format: CompressionFormat = "deflate"): Promise<Uint8Array<ArrayBuffer>> =>
  pipe(bytes, new DecompressionStream(format));

async function pipe(bytes: Uint8Array<ArrayBuffer>, through: CompressionStream | DecompressionStream): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(through)).arrayBuffer());
}
