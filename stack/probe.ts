import { connect } from 'node:net';

/** True when a GET answers 200 and, where a text is given, its body holds that text. */
export async function answersHttp(url: string, text = ''): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    const body = await response.text();
    return response.status === 200 && body.includes(text);
  } catch {
    return false;
  }
}

/** True when any HTTP answer comes: S3 answers an unsigned request with 403. */
export async function speaksHttp(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/**
 * ApiVersions request, version 0: size, api key 18, version 0, correlation id 7, null client id. A broker answers
 * it only once it processes requests. https://kafka.apache.org/protocol#The_Messages_ApiVersions
 */
const apiVersionsRequest = Buffer.from('0000000a0012000000000007ffff', 'hex');
const correlationId = 7;

/** True when a Kafka broker on the loopback port answers requests. */
export function answersKafka(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: '127.0.0.1', timeout: 2000 });
  const answer = (ready: boolean): void => {
    socket.destroy();
    resolve(ready);
  };
  socket.once('connect', () => socket.write(apiVersionsRequest));
  socket.once('data', (chunk) =>
    answer(chunk.length >= 10 && chunk.readInt32BE(4) === correlationId),
  );
  socket.once('timeout', () => answer(false));
  socket.once('error', () => answer(false));
  return promise;
}
