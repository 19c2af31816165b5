import {
  AuthenticationError,
  NetworkError,
  ResponseError,
  TimeoutError,
} from '@platformatic/kafka';
import { expect, it } from 'vitest';
import { findAccessFault } from '../../connectors/kafka-access.ts';

/** What a broker answers a request with that does not fit the state of the user's session. */
const illegalState = new ResponseError(3, 12, { '': [34, null] }, {});

it('a request between two sessions is refused for the moment, a user by a listener without users for good', () => {
  expect(findAccessFault(illegalState)).toBeUndefined();
  const login = new AuthenticationError('no mechanism', { cause: illegalState });
  expect(findAccessFault(new NetworkError('no way in', { cause: login }))?.kind).toBe('refused');
});

it('a broker that is away is told from one that does not answer', () => {
  const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
  expect(findAccessFault(new NetworkError('no way in', { cause: refused }))).toBeUndefined();
  expect(findAccessFault(new TimeoutError('too late'))?.kind).toBe('no-answer');
  expect(findAccessFault(new NetworkError('closed'))?.kind).toBe('no-answer');
});

it('a refusal is found among the errors of several brokers', () => {
  const expired = Object.assign(new Error('too old'), { code: 'CERT_HAS_EXPIRED' });
  const each = [new NetworkError('closed'), new NetworkError('no way in', { cause: expired })];
  const fault = findAccessFault(new AggregateError(each));
  expect(fault).toMatchObject({ kind: 'refused', reason: 'too old' });
});
