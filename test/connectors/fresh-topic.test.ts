import kafkajs from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { whenHosted } from '../../connectors/fresh-topic.ts';

const answer = (type: string): Error =>
  new kafkajs.KafkaJSProtocolError(
    Object.assign(new Error(`a broker says ${type}`), { type, code: 3, retriable: true }),
  );
const wrapped = (cause: Error): Error => new Error('kafkajs gives up', { cause });
const sleepless = async (): Promise<void> => undefined;

/** A request that fails with these, and then succeeds. */
function request(...faults: Error[]): () => Promise<string> {
  return async () => {
    const fault = faults.shift();
    if (fault !== undefined) throw fault;
    return `${faults.length} left`;
  };
}

describe('a topic that a broker has not heard of', () => {
  it('is asked for again until it has', async () => {
    const unknown = answer('UNKNOWN_TOPIC_OR_PARTITION');
    const leaderless = answer('LEADER_NOT_AVAILABLE');
    const elsewhere = wrapped(answer('NOT_LEADER_FOR_PARTITION'));
    const asked = whenHosted(request(unknown, leaderless, wrapped(unknown), elsewhere), sleepless);
    expect(await asked).toBe('0 left');
  });

  it('fails with what the broker says where it never hears of it', async () => {
    let sleptMs = 0;
    const never = request(...Array<Error>(1_000).fill(answer('UNKNOWN_TOPIC_OR_PARTITION')));
    const asked = whenHosted(never, async (ms) => void (sleptMs += ms));
    await expect(asked).rejects.toThrow('a broker says UNKNOWN_TOPIC_OR_PARTITION');
    expect(sleptMs).toBeGreaterThan(5_000);
    expect(sleptMs).toBeLessThan(20_000);
  });

  it('is no reason to repeat a request that failed for another', async () => {
    const faults = [answer('TOPIC_AUTHORIZATION_FAILED'), answer('UNKNOWN_TOPIC_OR_PARTITION')];
    await expect(whenHosted(request(...faults), sleepless)).rejects.toThrow('AUTHORIZATION');
  });
});
